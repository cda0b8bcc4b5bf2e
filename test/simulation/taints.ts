import type { SimulatedProcess } from './event-loop.ts';
import { hearingOf, nameOf } from './hearing.ts';
import type { Instance, Rank } from './instance.ts';

/**
 * Why a load may succeed with wrong bytes all the same, after an unsafe release:
 * - `lateWrite`: a load that was let go of landed in memory that holds something else by now
 * - `knowerGone`: the process that let go of a save is gone, and no scheduler that lives has heard of it
 * - `wordUnderWay`: it lives, and its word has not reached the scheduler yet
 */
export type Excuse = 'lateWrite' | 'knowerGone' | 'wordUnderWay';

interface UnsafeSave {
  readonly rank: Rank;
  /** Those that may still read the blocks, and keep what they read under the hash. */
  readonly servers: readonly SimulatedProcess[];
  readonly releasedMs: number;
}

/** What unsafe releases may have spoilt, and whether a connector has to know it. */
export class Taints {
  #unsafeSaves = new Map<string, UnsafeSave[]>();
  #overwritten = new Set<string>();

  saveReleased(hash: Uint8Array, save: UnsafeSave): void {
    const name = nameOf(hash);
    this.#unsafeSaves.set(name, [...(this.#unsafeSaves.get(name) ?? []), save]);
  }

  overwritten(hash: Uint8Array, rank: number): void {
    this.#overwritten.add(`${rank} ${nameOf(hash)}`);
  }

  isOverwritten(hash: Uint8Array, rank: number): boolean {
    return this.#overwritten.has(`${rank} ${nameOf(hash)}`);
  }

  /** Whether a load of this hash that is scheduled now may bring wrong bytes to that rank: design §7 forbids it once told. */
  excuseFor(hash: Uint8Array, { scheduler, ranks, shape: { embedding } }: Instance, index: number): Excuse | null {
    const name = nameOf(hash);
    const hearing = hearingOf(scheduler);
    const saves = (this.#unsafeSaves.get(name) ?? []).filter(
      ({ rank, servers }) => rank.index === index && servers.some(({ isDead }) => !isDead),
    );
    if (hearing.hasHeardOf(name)) return null;
    if (saves.some(({ rank }) => rank !== ranks[index] || rank.process.isDead)) return 'knowerGone';
    const isUnderWay = ({ rank, releasedMs }: UnsafeSave) =>
      embedding === 'pulled' ? hearing.newestMadeMs(rank) <= releasedMs : rank.said.has(name) || rank.said.has('all');
    return saves.some(isUnderWay) ? 'wordUnderWay' : null;
  }
}
