/**
 * What a feed tells, as plain JSON: one record a line in a recording, one per `data:` of the Server-Sent Events at
 * `/feed`. A feed begins with a {@link Header}. Times are wall-clock milliseconds with fraction.
 *
 * No record holds a block hash, a lease or a handle: words that come from elsewhere pass `redacted`.
 */

/** Raised when a reader of the old records would misread the new ones; a new type or field does not. */
export const FEED_VERSION = 1;

export type FeedRecord = MachineSeen | Transition | Troubles | Message | Cache | ServerSeen | Gone;

/**
 * Names a machine in this feed: `<instance>/scheduler` or `<instance>/rank 3`. Each shard of an instance over several
 * servers is an instance of its own, `<instance> shard 0`, whose ranks count from 0.
 */
export type MachineId = string;

export interface Header {
  readonly type: 'header';
  readonly version: typeof FEED_VERSION;
  /** Name and version of the package that wrote it. */
  readonly product: string;
  readonly startedAtMs: number;
  readonly charts: Charts;
  /** Whether what is told goes on: `false` in a recording. */
  readonly isLive: boolean;
  /** Of what happened before, only where it led is told; `null` where everything is. */
  readonly truncatedBeforeMs: number | null;
  /** Names this feed among all, so that a reader which connects again knows what it has read. */
  readonly feedId: string;
}

export interface Charts {
  readonly scheduler: Chart;
  readonly worker: Chart;
}

/** A statechart with places in pixels, generated from the machine (`npm run docs`). */
export interface Chart {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly ChartNode[];
  readonly edges: readonly ChartEdge[];
}

export interface ChartNode {
  /** Dotted path of the state; `any state` stands for the machine, `<path>!` for the start inside a state. */
  readonly path: string;
  readonly label: string;
  /** What the machine does in the state; absent where there is nothing to say. */
  readonly description?: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Path of the state around it. */
  readonly parent: string | null;
  readonly kind: 'atomic' | 'compound' | 'final' | 'start' | 'any';
  readonly tags: readonly string[];
  /** Names of the actors that run while the state is active. */
  readonly actors: readonly string[];
}

export interface ChartEdge {
  /** As in {@link Transition.edge}. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** What sets it off, one cause a line; empty for a start. */
  readonly label: string;
  readonly points: readonly Point[];
  /** Where the label has room; `null` where it has none of its own. */
  readonly labelAt: { readonly x: number; readonly y: number; readonly width: number; readonly height: number } | null;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A machine as it is: when it is first watched, and, to a reader who comes later, where it stands. */
export interface MachineSeen {
  readonly type: 'machine';
  /** When it entered `state`. */
  readonly atMs: number;
  readonly machine: MachineId;
  readonly kind: 'scheduler' | 'worker';
  readonly instance: string;
  /** `null` for a scheduler. */
  readonly rank: number | null;
  /** Dotted path. */
  readonly state: string;
  /** `#7`; `null` before the first. */
  readonly epoch: string | null;
  readonly pid: number;
  /** The newest observation of something lost or refused; it stays after the recovery. */
  readonly evidence: Evidence | null;
  /** As {@link Troubles} has them; absent where there is none. */
  readonly troubles?: readonly Trouble[];
}

/** All that somebody should look at from now on although the state may be good. */
export interface Troubles {
  readonly type: 'troubles';
  readonly atMs: number;
  readonly machine: MachineId;
  readonly all: readonly Trouble[];
}

export interface Trouble {
  /** What is the matter: `saves are turned off but for a try now and then`. */
  readonly what: string;
  /** Why. */
  readonly message: string;
}

/**
 * One step of a machine; states that are left in the same breath are told too. What a machine repeats within one top-level
 * state, such as to dial, is told ever more rarely: then `from` need not be where the last step led.
 */
export interface Transition {
  readonly type: 'transition';
  readonly atMs: number;
  readonly machine: MachineId;
  readonly from: string;
  readonly to: string;
  readonly event: string;
  readonly epoch: string | null;
  /** What was observed with this step; `null` where nothing new was. */
  readonly evidence: Evidence | null;
  /** Id of the chart's edge that was taken; `null` where it cannot be told. */
  readonly edge: string | null;
}

export interface Evidence {
  /** The kind of the fault: `unreachable`, `timedOut`, `forgotten`, `incompatible`, `rejected` or `defect`. */
  readonly kind: string;
  readonly message: string;
}

/**
 * A word between the roles, such as `register #7`: an announcement when the scheduler makes it, for all `ranks`; a report
 * when the scheduler hears it, and only where it says something else than the rank's last.
 */
export interface Message {
  readonly type: 'message';
  readonly atMs: number;
  readonly from: MachineId;
  readonly to: MachineId | 'ranks';
  readonly name: string;
}

/**
 * Counts since the start of the scheduler; told once a second at most, and only when they changed. Those of an instance
 * over several servers are told of each shard, for a query asks all.
 */
export interface Cache {
  readonly type: 'cache';
  readonly atMs: number;
  readonly instance: string;
  readonly queries: number;
  /** Blocks of all queries, and of them those that hit. */
  readonly askedBlocks: number;
  readonly hitBlocks: number;
  /** Queries that missed. */
  readonly misses: number;
  /** Of them those that missed because no server was in service. */
  readonly missesDegraded: number;
}

/** What only a host that owns the server can say. */
export interface ServerSeen {
  readonly type: 'server';
  readonly atMs: number;
  readonly what: 'stopped' | 'listening';
  /** How it was stopped, such as `kill`. */
  readonly how: string | null;
}

/** The machine's process has ended, or nothing more is heard of it. */
export interface Gone {
  readonly type: 'gone';
  readonly atMs: number;
  readonly machine: MachineId;
}
