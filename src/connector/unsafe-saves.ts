import type { ReportedDistrust } from '../../machines/index.ts';
import type { DeathWatch } from '../rpc/death-watch.ts';
import { keyOf } from './distrust.ts';

/** Hashes that one report names, at most: 64 KiB of the usual 32-byte ones in every message. Beyond, it says `all`. */
const MAX_REPORTED_HASHES = 2_048;

type Death = Pick<DeathWatch, 'watch' | 'pid'>;
type Hashes = Map<string, Uint8Array>;

/**
 * Hashes whose blocks were handed back while a save might still read them, until the server of that save is dead. All links to
 * a server whose process was found share one wait; of any other link its death watch alone is kept, and its hashes.
 */
export class UnsafeSaves {
  #held = new Map<Death, Hashes>();
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
    for (const hash of blockHashes) {
      if (hashes.size > MAX_REPORTED_HASHES) break;
      // A copy: the host's may be a view that would keep a whole message alive.
      hashes.set(keyOf(hash), Uint8Array.from(hash));
    }
    this.#refresh();
  }

  #sameServer(death: Death): Hashes | undefined {
    const known = [...this.#held].find(([other]) => other.pid !== null && other.pid === death.pid);
    return this.#held.get(death) ?? known?.[1];
  }

  #begin(death: Death): Hashes {
    const hashes: Hashes = new Map();
    this.#held.set(death, hashes);
    const unwatch = death.watch(() => {
      unwatch();
      this.#held.delete(death);
      this.#refresh();
    });
    return hashes;
  }

  #refresh(): void {
    const hashes = [...new Map([...this.#held.values()].flatMap((held) => [...held])).values()];
    const revision = (this.#distrust?.revision ?? 0) + 1;
    this.#distrust = { revision, hashes: hashes.length > MAX_REPORTED_HASHES ? 'all' : hashes };
    this.#onNews();
  }
}
