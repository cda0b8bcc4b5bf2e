import type { ReportedDistrust } from '../../../machines/index.ts';
import type { DeathWatch } from '../../rpc/holder/death-watch.ts';
import { keyOf } from '../scheduler/distrust.ts';

/** Hashes that one report names, at most: 64 KiB of the usual 32-byte ones in every message. Beyond, it says `all`. */
const MAX_REPORTED_HASHES = 2_048;

type Death = Pick<DeathWatch, 'watch' | 'pid'>;

/** Of one server: the hashes of each save, or `all` where there are too many to be kept. */
interface Held {
  saves: Set<readonly Uint8Array[]> | 'all';
}

/**
 * Hashes whose blocks were handed back while a save might still read them, until the server of that save is dead or has said no
 * to it. A late yes ends nothing: what was stored may be a mixture. All links to a server whose process was found share one
 * wait; of any other link its death watch alone is kept, and its hashes.
 */
export class UnsafeSaves {
  #held = new Map<Death, Held>();
  #distrust: ReportedDistrust | null = null;
  #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The same object until it changes. `null` before the first unsafe release of a save. */
  get distrust(): ReportedDistrust | null {
    return this.#distrust;
  }

  /** Keeps waiting for `death` after the transfer has ended. The function that comes back is for a no of the server. */
  add(death: Death, blockHashes: readonly Uint8Array[]): () => void {
    const held = this.#sameServer(death) ?? this.#begin(death);
    // A copy: the host's may be a view that would keep a whole message alive.
    const hashes = blockHashes.map((hash) => Uint8Array.from(hash));
    if (held.saves !== 'all') held.saves.add(hashes);
    if (isTooMany(held)) held.saves = 'all';
    this.#refresh();
    return () => {
      if (held.saves !== 'all' && held.saves.delete(hashes)) this.#refresh();
    };
  }

  #sameServer(death: Death): Held | undefined {
    const known = [...this.#held].find(([other]) => other.pid !== null && other.pid === death.pid);
    return this.#held.get(death) ?? known?.[1];
  }

  #begin(death: Death): Held {
    const held: Held = { saves: new Set() };
    this.#held.set(death, held);
    const unwatch = death.watch(() => {
      unwatch();
      this.#held.delete(death);
      this.#refresh();
    });
    return held;
  }

  #refresh(): void {
    const revision = (this.#distrust?.revision ?? 0) + 1;
    this.#distrust = { revision, hashes: this.#hashes() };
    this.#onChange();
  }

  #hashes(): readonly Uint8Array[] | 'all' {
    const hashes = new Map<string, Uint8Array>();
    for (const { saves } of this.#held.values()) {
      if (saves === 'all') return 'all';
      for (const hash of [...saves].flat()) hashes.set(keyOf(hash), hash);
    }
    return hashes.size > MAX_REPORTED_HASHES ? 'all' : [...hashes.values()];
  }
}

/** Also where the same few are named again and again. */
function isTooMany({ saves }: Held): boolean {
  if (saves === 'all') return true;
  const hashes = [...saves].flat();
  return hashes.length > 4 * MAX_REPORTED_HASHES || new Set(hashes.map(keyOf)).size > MAX_REPORTED_HASHES;
}
