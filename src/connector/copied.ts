/** A host may use its buffers again as soon as a call has returned: what outlives the call is copied. */
import type { LoadIntent, SaveIntent } from './metadata.ts';

/** Into one piece of memory. */
export function copiedHashes(hashes: readonly Uint8Array[]): Uint8Array[] {
  const lengths = hashes.map(({ length }) => length);
  return piecesOf(Buffer.concat(hashes), lengths);
}

/** Views of `bytes` that follow each other, from its byte `from` on. */
export function piecesOf(bytes: Uint8Array, lengths: Iterable<number>, from = 0): Uint8Array[] {
  let end = from;
  return Array.from(lengths, (length) => {
    end += length;
    return bytes.subarray(end - length, end);
  });
}

export function copiedLoad(intent: LoadIntent): LoadIntent {
  const leases = intent.leases.map((leased) => ({
    ...leased,
    lease: Uint8Array.from(leased.lease),
    blockIds: [...leased.blockIds],
  }));
  return { ...intent, leases };
}

export function copiedSave(intent: SaveIntent): SaveIntent {
  return { ...intent, blockIds: [...intent.blockIds], blockHashes: copiedHashes(intent.blockHashes) };
}
