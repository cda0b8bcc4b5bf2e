/** Block hashes as vLLM makes them: a chain, so that a block's hash names its content and everything before it. */
import { createHash } from 'node:crypto';

/** The parent of a first block. */
const ROOT = new Uint8Array(32);

/**
 * One 32-byte SHA-256 per full block of `blockSize` ids, each over its parent's hash and its own ids (unsigned 32-bit,
 * little-endian). Ids that do not fill a block are left out.
 */
export function chainHashes(ids: readonly number[], blockSize: number): Uint8Array[] {
  const hashes: Uint8Array[] = [];
  let parent: Uint8Array = ROOT;
  for (let start = 0; start + blockSize <= ids.length; start += blockSize) {
    const own = Uint32Array.from(ids.slice(start, start + blockSize));
    parent = Uint8Array.from(createHash('sha256').update(parent).update(new Uint8Array(own.buffer)).digest());
    hashes.push(parent);
  }
  return hashes;
}
