/** What a soak's traffic came to, kept as sums: a run of days must not grow. */
import type { DemoEvent, EventOf } from '../../src/demo/journal.ts';

type Counted = EventOf<'worker.counted'>;

export class TrafficTotals {
  requests = 0;
  abandonedRequests = 0;
  queries = 0;
  hitBlocks = 0;
  /** When the query that hit last was sent. `null` before the first. */
  lastHitSentAtMs: number | null = null;
  /** Queries that missed, by why. */
  readonly misses = new Map<string, number>();
  loads = { succeeded: 0, failed: 0, refused: 0 };
  saves = { succeeded: 0, failed: 0, refused: 0 };
  verifiedBytes = 0;
  wrongBytes = 0;
  /** Transfers whose blocks were handed back without proof. */
  unsafeReleases = 0;
  /** Transfers that were in quarantine, by what ended them. */
  readonly quarantineEnds = new Map<string, number>();
  readonly #onDefect: (defect: string) => void;
  readonly #sentAtMs = new Map<number, number>();
  readonly #lastCounts = new Map<number, Counted>();

  constructor(onDefect: (defect: string) => void) {
    this.#onDefect = onDefect;
  }

  get text(): string {
    return `${this.requests} requests, ${this.hitBlocks} blocks hit, ${this.wrongBytes} wrong bytes`;
  }

  /** Queries that missed because as much memory was held as may be. */
  get limited(): number {
    return this.misses.get('heldLimit') ?? 0;
  }

  /** A request went down with its process. */
  abandon(_requestId: string): void {
    this.abandonedRequests += 1;
  }

  observe(event: DemoEvent): void {
    if (event.type === 'request.arrived') this.requests += 1;
    else if (event.type === 'query.sent') this.#sentAtMs.set(event.queryId, event.atMs);
    else if (event.type === 'query.answered') this.#answer(event);
    else if (event.type === 'blocks.verified') this.#verify(event);
    else if (event.type === 'worker.counted') this.#count(event);
  }

  #answer({ queryId, result, blocks, reason }: EventOf<'query.answered'>): void {
    this.queries += 1;
    this.hitBlocks += blocks;
    if (reason !== null) this.misses.set(reason, (this.misses.get(reason) ?? 0) + 1);
    if (result === 'hit') this.lastHitSentAtMs = this.#sentAtMs.get(queryId) ?? null;
    this.#sentAtMs.delete(queryId);
  }

  #verify({ bytes, wrongBytes, rank, requestId, moment }: EventOf<'blocks.verified'>): void {
    this.verifiedBytes += bytes;
    this.wrongBytes += wrongBytes;
    if (wrongBytes > 0) this.#onDefect(`rank ${rank}: ${wrongBytes} wrong bytes when ${requestId} had ${moment}`);
  }

  /** A rank that was started again counts from 0. */
  #count(counted: Counted): void {
    const last = this.#lastCounts.get(counted.rank);
    this.#lastCounts.set(counted.rank, counted);
    for (const what of ['loads', 'saves'] as const) {
      for (const end of ['succeeded', 'failed', 'refused'] as const) {
        this[what][end] += growthOf(counted[what][end], last?.[what][end] ?? 0);
      }
    }
    for (const [end, count] of Object.entries(counted.quarantineEnds)) {
      const more = growthOf(count, last?.quarantineEnds[end as keyof Counted['quarantineEnds']] ?? 0);
      if (more > 0) this.quarantineEnds.set(end, (this.quarantineEnds.get(end) ?? 0) + more);
    }
    const unsafe = growthOf(counted.unsafeReleases, last?.unsafeReleases ?? 0);
    this.unsafeReleases += unsafe;
    if (unsafe > 0)
      this.#onDefect(`rank ${counted.rank}: ${unsafe} transfers whose blocks were handed back without proof`);
  }
}

function growthOf(now: number, before: number): number {
  return now < before ? now : now - before;
}
