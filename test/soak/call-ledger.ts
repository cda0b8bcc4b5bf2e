/** Whether every call of a run comes to its one end in time, judged as the run goes: what has ended well is forgotten. */
import type { DemoEvent } from '../../src/demo/journal.ts';

/** The longest that a call of each kind may take, in milliseconds. */
export type CallLimits = { readonly [Kind in CallKind]: number };

/** `hold`: from the end of a request whose blocks are held to their release. */
export type CallKind = 'query' | 'load' | 'hold' | 'request';

const BEGINNINGS: Readonly<Partial<Record<DemoEvent['type'], CallKind>>> = {
  'request.arrived': 'request',
  'query.sent': 'query',
  'load.scheduled': 'load',
};
const ENDS: Readonly<Partial<Record<DemoEvent['type'], CallKind>>> = {
  'request.finished': 'request',
  'query.answered': 'query',
  'load.ended': 'load',
  'request.freed': 'hold',
};

interface OpenCall {
  readonly kind: CallKind;
  readonly requestId: string;
  readonly sinceMs: number;
}

export class CallLedger {
  readonly #limits: CallLimits;
  readonly #onDefect: (defect: string) => void;
  readonly #open = new Map<string, OpenCall>();
  hung = 0;
  reportedOtherThanOnce = 0;
  /** Calls that went down with processes that could prove no end, or ended there after their limits. */
  held = 0;
  /** Whether the end of a transfer cannot be proved: its call, and what waits for its blocks, may take as long as that. */
  isUnprovable = false;

  constructor(limits: CallLimits, onDefect: (defect: string) => void) {
    this.#limits = limits;
    this.#onDefect = onDefect;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  observe(event: DemoEvent): void {
    const [ended, begun] = [ENDS[event.type], BEGINNINGS[event.type]];
    if (!('requestId' in event)) return;
    if (ended !== undefined) this.#end(ended, event.requestId, event.atMs);
    if (begun !== undefined) this.#begin(begun, event.requestId, event.atMs);
    if (event.type === 'request.finished' && event.held) this.#begin('hold', event.requestId, event.atMs);
  }

  /** The process that served them is gone. Returns the requests that had not finished. */
  abandon(): string[] {
    if (this.isUnprovable)
      this.held += [...this.#open.values()].filter(({ kind }) => kind === 'load' || kind === 'hold').length;
    const requests = [...this.#open.values()].flatMap(({ kind, requestId }) => (kind === 'request' ? [requestId] : []));
    this.#open.clear();
    return requests;
  }

  /** The run is over: what is still open will never end. */
  close(): void {
    for (const { kind, requestId } of this.#open.values()) this.#hang(`${kind} of ${requestId} did not end`);
  }

  #begin(kind: CallKind, requestId: string, atMs: number): void {
    const key = `${kind} ${requestId}`;
    if (this.#open.has(key)) this.#miscount(`${kind} of ${requestId} began twice`);
    this.#open.set(key, { kind, requestId, sinceMs: atMs });
  }

  #end(kind: CallKind, requestId: string, atMs: number): void {
    const call = this.#open.get(`${kind} ${requestId}`);
    this.#open.delete(`${kind} ${requestId}`);
    if (call === undefined) {
      this.#miscount(`${kind} of ${requestId} ended without having begun`);
      return;
    }
    const tookMs = atMs - call.sinceMs;
    if (tookMs <= this.#limits[kind]) return;
    if (this.isUnprovable && kind !== 'query') this.held += 1;
    else this.#hang(`${kind} of ${requestId} took ${Math.round(tookMs)} ms`);
  }

  #hang(defect: string): void {
    this.hung += 1;
    this.#onDefect(defect);
  }

  #miscount(defect: string): void {
    this.reportedOtherThanOnce += 1;
    this.#onDefect(defect);
  }
}
