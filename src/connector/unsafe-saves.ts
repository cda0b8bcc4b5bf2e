import type { ReportedDistrust } from '../../machines/index.ts';
import type { DeathWatch } from '../rpc/death-watch.ts';

/** Hashes that one report names, at most: 8 KiB of the usual 32-byte ones in every message. Beyond, it says `all`. */
const MAX_REPORTED_HASHES = 256;

type Death = Pick<DeathWatch, 'watch' | 'pid'>;

/**
 * Hashes whose blocks were handed back while a save might still read them, until the server of that save is dead. What it
 * keeps is bounded however often the link to one server is lost, where the server's process can be seen.
 */
export class UnsafeSaves {
  #held = new Map<Death, Uint8Array[]>();
  #distrust: ReportedDistrust | null = null;
  #onNews: () => void;

  constructor(onNews: () => void) {
    this.#onNews = onNews;
  }

  /** The same object until it changes. `null` before the first unsafe release of a save. */
  get distrust(): ReportedDistrust | null {
    return this.#distrust;
  }

  /** Keeps waiting for `death` after the transfer has ended. */
  add(death: Death, blockHashes: readonly Uint8Array[]): void {
    const hashes = this.#sameServer(death) ?? this.#begin(death);
    hashes.push(...blockHashes.slice(0, MAX_REPORTED_HASHES + 1 - hashes.length));
    this.#refresh();
  }

  #sameServer(death: Death): Uint8Array[] | undefined {
    const known = [...this.#held].find(([other]) => other.pid !== null && other.pid === death.pid);
    return this.#held.get(death) ?? known?.[1];
  }

  #begin(death: Death): Uint8Array[] {
    const hashes: Uint8Array[] = [];
    this.#held.set(death, hashes);
    const unwatch = death.watch(() => {
      unwatch();
      this.#held.delete(death);
      this.#refresh();
    });
    return hashes;
  }

  #refresh(): void {
    const hashes = [...this.#held.values()].flat();
    const revision = (this.#distrust?.revision ?? 0) + 1;
    this.#distrust = { revision, hashes: hashes.length > MAX_REPORTED_HASHES ? 'all' : hashes };
    this.#onNews();
  }
}
