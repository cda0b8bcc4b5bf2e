import type { ReportedDistrust } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';

/** Hashes that one report names, at most: 8 KiB of the usual 32-byte ones in every message. Beyond, it says `all`. */
const MAX_REPORTED_HASHES = 256;

/** Hashes whose blocks were handed back while a save might still read them, until the server of that save is dead. */
export class UnsafeSaves {
  #held = new Set<readonly Uint8Array[]>();
  #distrust: ReportedDistrust | null = null;
  #onNews: () => void;

  constructor(onNews: () => void) {
    this.#onNews = onNews;
  }

  /** The same object until it changes. `null` before the first unsafe release of a save. */
  get distrust(): ReportedDistrust | null {
    return this.#distrust;
  }

  /** Keeps watching `server` after the transfer has ended. */
  add(server: Pick<ServerLink, 'watch'>, blockHashes: readonly Uint8Array[]): void {
    this.#held.add(blockHashes);
    const unwatch = server.watch({
      dead: () => {
        unwatch();
        this.#held.delete(blockHashes);
        this.#refresh();
      },
    });
    this.#refresh();
  }

  #refresh(): void {
    const hashes = [...this.#held].flat();
    const revision = (this.#distrust?.revision ?? 0) + 1;
    this.#distrust = { revision, hashes: hashes.length > MAX_REPORTED_HASHES ? 'all' : hashes };
    this.#onNews();
  }
}
