import type { Budgets, Fault, RankReport, ReportedRefusal, ReportedWork } from '../../../machines/index.ts';
import { ByGroup } from '../by-group.ts';
import type { LoadIntent } from '../metadata.ts';
import type { Breakers } from './breakers.ts';
import { FailedBlocks } from './failed-blocks.ts';

export interface RefusedWorkOptions {
  readonly budgets: Budgets;
  readonly breakers: Breakers;
  /** The load of this request that has not ended on every rank. */
  readonly loadOf: (requestId: string) => LoadIntent | null;
  /** So many blocks are no hits from now on. */
  readonly onWithdrawn: (blocks: number, fault: Fault) => void;
}

/** What became of one kind of work of one rank's process, as far as it was told. */
type Told = Pick<ReportedWork, 'succeeded'> & { readonly number: number };
type ToldByKind = { readonly loads: Told; readonly saves: Told };

const NOTHING_TOLD: Told = { succeeded: 0, number: 0 };
/** Loads that failed and of which the ranks may still say why. */
const FAILED_LOADS_KEPT = 64;
const WORKERS_KEPT = 1_024;

/**
 * Takes back what was promised where using it failed: the next query of a request whose load failed misses, and blocks
 * whose load failed twice are no hits. What the ranks report as refused goes to the breakers, each refusal once.
 */
export class RefusedWork {
  #options: RefusedWorkOptions;
  #failedBlocks: FailedBlocks;
  #hashes = new WeakMap<LoadIntent, readonly Uint8Array[]>();
  #withdrawn = new ByGroup<true>();
  /** Loads whose request misses already. */
  #takenBack = new WeakSet<LoadIntent>();
  /** Whether a load that was refused shares no block with others that were. */
  #areAlone = new WeakMap<LoadIntent, boolean>();
  #failedLoads = new Map<string, LoadIntent>();
  #told = new Map<string, ToldByKind>();

  constructor(options: RefusedWorkOptions) {
    this.#options = options;
    this.#failedBlocks = new FailedBlocks(options.budgets.breakerMaxMs);
  }

  /**
   * A registration begins. Whatever loads of an earlier one met, or are still to tell, may be its loss: the server breaks off
   * the copies of a registration that it drops.
   */
  registrationBegan(): void {
    this.#failedBlocks.forget();
    this.#hashes = new WeakMap();
  }

  loadBegan(load: LoadIntent, blockHashes: readonly Uint8Array[]): void {
    this.#hashes.set(load, blockHashes);
  }

  loadEnded(load: LoadIntent, isFailed: boolean): void {
    if (!isFailed) {
      this.#failedBlocks.loaded(this.#hashes.get(load) ?? []);
      return;
    }
    this.#takeBack(load);
    this.#failedLoads.delete(load.requestId);
    this.#failedLoads.set(load.requestId, load);
    for (const requestId of this.#failedLoads.keys()) {
      if (this.#failedLoads.size <= FAILED_LOADS_KEPT) break;
      this.#failedLoads.delete(requestId);
    }
  }

  /** Whether this query is the one that has to miss because the load before it failed. */
  takeWithdrawn(requestId: string, groupId: number): boolean {
    const isWithdrawn = this.#withdrawn.get(requestId, groupId) !== undefined;
    if (isWithdrawn) this.#withdrawn.delete(requestId, groupId);
    return isWithdrawn;
  }

  /** How many of these blocks come before the first one whose load failed again and again. */
  loadablePrefix(blockHashes: readonly Uint8Array[]): number {
    return this.#failedBlocks.loadablePrefix(blockHashes, performance.now());
  }

  forget(requestId: string): void {
    this.#withdrawn.take(requestId);
  }

  accept({ rank, workerBootId, work }: RankReport): void {
    if (work === undefined) return;
    const source = `rank ${rank}`;
    const told = this.#told.get(workerBootId) ?? { loads: NOTHING_TOLD, saves: NOTHING_TOLD };
    const loads = this.#newRefusals('loads', source, work.loads, told.loads, (refusal) => this.#loadRefused(refusal));
    const saves = this.#newRefusals('saves', source, work.saves, told.saves, ({ fault }) =>
      fault.message.replace(/\d+/g, '#'),
    );
    this.#told.delete(workerBootId);
    this.#told.set(workerBootId, { loads, saves });
    const [oldest] = this.#told.keys();
    if (this.#told.size > WORKERS_KEPT && oldest !== undefined) this.#told.delete(oldest);
  }

  /** Tells the breaker what is new; `wordsOf` names what adds up, or `null` what does not count. */
  #newRefusals(
    breaker: 'loads' | 'saves',
    source: string,
    { succeeded, refusals }: ReportedWork,
    told: Told,
    wordsOf: (refusal: ReportedRefusal) => string | null,
  ): Told {
    const { breakers } = this.#options;
    if (succeeded > told.succeeded) breakers.passed(breaker, source);
    for (const refusal of refusals) {
      if (refusal.number <= told.number) continue;
      const { fault, isOfAll } = refusal;
      const words = wordsOf(refusal);
      if (words !== null)
        breakers.tell(breaker, { type: 'refused', source, words, fault, ...(isOfAll ? { isOfAll } : {}) });
    }
    const number = Math.max(told.number, refusals.at(-1)?.number ?? 0);
    return { succeeded: Math.max(told.succeeded, succeeded), number };
  }

  /** A load that shares a block with another one that failed may have met a bad block: that counts against the block. */
  #loadRefused({ requestId, fault }: ReportedRefusal): string | null {
    const load = this.#options.loadOf(requestId) ?? this.#failedLoads.get(requestId);
    if (load === undefined) return '';
    this.#takeBack(load);
    const blockHashes = this.#hashes.get(load);
    if (blockHashes === undefined) return null;
    const isAlone = this.#areAlone.get(load) ?? this.#blame(blockHashes, fault);
    this.#areAlone.set(load, isAlone);
    return isAlone ? '' : null;
  }

  #blame(blockHashes: readonly Uint8Array[], fault: Fault): boolean {
    const again = this.#failedBlocks.failed(blockHashes, performance.now());
    if (again > 0) this.#options.onWithdrawn(again, fault);
    return again === 0;
  }

  #takeBack(load: LoadIntent): void {
    if (this.#takenBack.has(load)) return;
    this.#takenBack.add(load);
    for (const { groupId } of load.leases) this.#withdrawn.set(load.requestId, groupId, true);
  }
}
