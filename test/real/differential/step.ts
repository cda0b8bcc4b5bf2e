import type { FaultPatch } from '../../../src/engine/faults.ts';

/** One thing that is done to both servers. What they come to must be alike. */
export type Step =
  | { readonly op: 'connect'; readonly client: string }
  | { readonly op: 'drop'; readonly client: string }
  | { readonly op: 'health'; readonly client: string }
  | { readonly op: 'shutdown'; readonly client: string }
  | {
      readonly op: 'session';
      readonly client: string;
      readonly instance: string;
      readonly namespace: string;
      readonly tpSize: number;
      readonly worldSize: number;
    }
  | {
      readonly op: 'allocate';
      readonly memory: string;
      readonly device: number;
      readonly size: number;
      readonly seed: string;
    }
  | { readonly op: 'fill'; readonly memory: string; readonly seed: string }
  | { readonly op: 'free'; readonly memory: string }
  | RegisterStep
  | SaveStep
  | QueryStep
  /** Which of these blocks are found, each asked for by itself. */
  | { readonly op: 'present'; readonly client: string; readonly instance: string; readonly hashes: readonly string[] }
  /** Switches what goes wrong at the server. */
  | { readonly op: 'fault'; readonly patch: FaultPatch }
  | { readonly op: 'release'; readonly client: string; readonly lease: string }
  | LoadStep
  | { readonly op: 'record'; readonly name: string; readonly hex: string }
  | { readonly op: 'unregister'; readonly client: string; readonly instance: string }
  | { readonly op: 'read'; readonly memory: string; readonly pieceSize: number }
  /** An HTTP request; `instance` becomes the query's `id`. */
  | { readonly op: 'http'; readonly method: string; readonly path: string; readonly instance?: string }
  /** The exposition's series of these names, with their values. */
  | { readonly op: 'metrics'; readonly names: readonly string[] }
  | { readonly op: 'signal'; readonly signal: NodeJS.Signals }
  /** How the server's process ends, or that it does not within the time. */
  | { readonly op: 'exit'; readonly withinMs: number }
  /** Starts a call that blocks, and goes on. */
  | { readonly op: 'begin'; readonly as: string; readonly step: Step }
  /** What a call that was begun has come to, or that it still blocks after the time. */
  | { readonly op: 'end'; readonly as: string; readonly withinMs: number }
  /** Ends the process of the client without its knowledge; it starts again with the next step that needs it. */
  | { readonly op: 'killClient' };

export interface WrapperSpec {
  readonly memory?: string;
  readonly offset?: number;
  readonly protocol?: number;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly without?: readonly string[];
  readonly length?: number;
  readonly suffix?: string;
  readonly hex?: string;
  readonly pickled?: string;
}

export interface RegisterStep {
  readonly op: 'register';
  readonly client: string;
  readonly instance: string;
  readonly namespace: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly tpSize: number;
  readonly worldSize: number;
  readonly device: number;
  readonly layers: readonly string[];
  readonly wrappers: readonly WrapperSpec[];
  /** Decimal strings stand for numbers over 2^53. */
  readonly numBlocks: readonly (number | string)[];
  readonly bytesPerBlock: readonly (number | string)[];
  readonly kvStrideBytes: readonly (number | string)[];
  readonly segments: readonly number[];
  readonly backend: string;
  readonly pageFirst: boolean;
  readonly groups?: readonly number[];
}

export interface SaveStep {
  readonly op: 'save';
  readonly client: string;
  readonly instance: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly device: number;
  readonly saves: readonly (readonly [layer: string, blockIds: readonly number[], hashes: readonly string[]])[];
  /** Blocks that are expected to be visible a moment after this Save, by group. */
  readonly visible?: readonly { readonly group: number; readonly hashes: readonly string[] }[];
}

export interface QueryStep {
  readonly op: 'query';
  readonly client: string;
  readonly instance: string;
  readonly hashes: readonly string[];
  readonly req?: string;
  readonly wait?: boolean;
  readonly group?: number;
  /** The name by which later steps know the lease. */
  readonly as?: string;
}

export interface LoadStep {
  readonly op: 'load';
  readonly client: string;
  readonly instance: string;
  readonly tpRank: number;
  readonly device: number;
  readonly groups: readonly (readonly string[])[];
  readonly loads: readonly (readonly [lease: string, targets: readonly (readonly (number | null)[])[]])[];
  /** Of the targets as many are sent as the lease has blocks. */
  readonly fits?: boolean;
  /** A record by this name instead of the client's own. */
  readonly shm?: string;
  /** A record that several loads use. Default: one of its own. */
  readonly state?: string;
  /** Memory whose bytes are compared afterwards. */
  readonly lands?: readonly { readonly memory: string; readonly pieceSize: number }[];
}

/** A named list of steps, played at servers that are started with these flags. */
export interface Sequence {
  readonly name: string;
  readonly poolSizeBytes: number;
  readonly steps: readonly Step[];
  /** Thousands of steps, which the short part that the tests play leaves out. */
  readonly isLong?: boolean;
  /** Made from a seed. */
  readonly isRandom?: boolean;
  /** Memory is taken for each block by itself. Default: for all blocks that a Save has of a layer. */
  readonly isBlockwise?: boolean;
  /** What steps do to the server's process concerns nobody else. */
  readonly ownServers?: boolean;
}
