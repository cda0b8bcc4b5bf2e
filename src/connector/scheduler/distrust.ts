import type { RankReport, ReportedDistrust } from '../../../machines/index.ts';

/**
 * What the ranks have said that no hit may be used on. A rank takes it back when it has seen the server die. A rank
 * process that is itself gone cannot: what it said last stays for the life of this scheduler, for its own link may be to
 * another server than the one that still holds the save, so the death of that one would prove nothing.
 */
export class Distrust {
  #byWorkerBootId = new Map<string, ReportedDistrust>();
  /** `null`: none. */
  #hashes: ReadonlySet<string> | 'all' | null = null;

  /** Whether there may be more than before. Repeats and late reports change nothing. */
  accept({ workerBootId, distrust }: Pick<RankReport, 'workerBootId' | 'distrust'>): boolean {
    const held = this.#byWorkerBootId.get(workerBootId);
    if (distrust === undefined || distrust.revision <= (held?.revision ?? 0)) return false;
    this.#byWorkerBootId.set(workerBootId, distrust);
    this.#hashes = union([...this.#byWorkerBootId.values()]);
    return this.#hashes !== null;
  }

  /** How many of these blocks come before the first one that is distrusted. */
  trustedPrefix(blockHashes: readonly Uint8Array[]): number {
    const hashes = this.#hashes;
    if (hashes === null) return blockHashes.length;
    if (hashes === 'all') return 0;
    const first = blockHashes.findIndex((blockHash) => hashes.has(keyOf(blockHash)));
    return first < 0 ? blockHashes.length : first;
  }
}

function union(reported: readonly ReportedDistrust[]): ReadonlySet<string> | 'all' | null {
  const hashes: string[] = [];
  for (const distrust of reported) {
    if (distrust.hashes === 'all') return 'all';
    hashes.push(...distrust.hashes.map(keyOf));
  }
  return hashes.length > 0 ? new Set(hashes) : null;
}

/** The hash as a key of sets and maps. */
export function keyOf(blockHash: Uint8Array): string {
  return Buffer.from(blockHash.buffer, blockHash.byteOffset, blockHash.byteLength).toString('latin1');
}
