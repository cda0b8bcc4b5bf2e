import type { ServerLink } from '../rpc/connection.ts';

/** Hashes that one report names, at most: 8 KiB of the usual 32-byte ones in every message. Beyond, it says `all`. */
export const MAX_DISTRUSTED_HASHES = 256;

/**
 * Hashes whose blocks were handed back while a save might still read them: a server that lives may store other content
 * under them at any time. Only its death ends that.
 */
export class UnsafeSaves {
  #held = new Set<readonly Uint8Array[]>();
  #distrusted: readonly Uint8Array[] | 'all' = [];
  #onNews: () => void;

  constructor(onNews: () => void) {
    this.#onNews = onNews;
  }

  /** The same object until it changes. */
  get distrusted(): readonly Uint8Array[] | 'all' {
    return this.#distrusted;
  }

  /** Keeps watching `server` after the transfer has ended. */
  add(server: ServerLink, blockHashes: readonly Uint8Array[]): void {
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
    this.#distrusted = hashes.length > MAX_DISTRUSTED_HASHES ? 'all' : hashes;
    this.#onNews();
  }
}
