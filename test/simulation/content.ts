import { createHash } from 'node:crypto';

/** Bytes of one block of one layer on one rank; a hash is as long. */
export const BLOCK_BYTES = 16;

const chains = new Map<string, Uint8Array>();

/** The hash of the block after so many others of one prefix, as a hash chain names it. */
export function chainHash(prefix: string, index: number): Uint8Array {
  const name = `${prefix}/${index}`;
  const known = chains.get(name);
  if (known) return known;
  const hash = Uint8Array.from(createHash('sha256').update(name).digest().subarray(0, BLOCK_BYTES));
  chains.set(name, hash);
  return hash;
}

/** What the model computes for the block of that hash on one rank and layer, into `target`. */
export function compute(hash: Uint8Array, rank: number, layer: number, target: Uint8Array): void {
  for (let i = 0; i < BLOCK_BYTES; i++) target[i] = hash[i]! ^ (17 * rank + layer + 1);
}

export function isContentOf(hash: Uint8Array, rank: number, layer: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < BLOCK_BYTES; i++) if (bytes[i] !== (hash[i]! ^ (17 * rank + layer + 1))) return false;
  return true;
}
