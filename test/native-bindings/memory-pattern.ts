import type { DeviceBuffer } from '../../native-bindings/index.ts';

const CHUNK_SIZE_BYTES = 4 * 1024 * 1024;

/** Bytes that follow from the seed and from where they are; no two words of a gigabyte are the same. */
function fillChunk(words: Uint32Array, seed: number, firstWord: number): void {
  for (let i = 0; i < words.length; i += 1) words[i] = Math.imul(firstWord + i + 1, 0x9e37_79b1) ^ seed;
}

function eachChunk(sizeBytes: number, seed: number, visit: (offset: number, expected: Uint8Array) => void): void {
  const words = new Uint32Array(Math.min(CHUNK_SIZE_BYTES, sizeBytes) / 4);
  for (let offset = 0; offset < sizeBytes; offset += CHUNK_SIZE_BYTES) {
    fillChunk(words, seed, offset / 4);
    visit(offset, new Uint8Array(words.buffer, 0, Math.min(CHUNK_SIZE_BYTES, sizeBytes - offset)));
  }
}

/** Fills the first `sizeBytes` bytes, a multiple of 4. */
export function writePattern(memory: DeviceBuffer, sizeBytes: number, seed: number): void {
  eachChunk(sizeBytes, seed, (offset, expected) => memory.write(offset, expected));
}

/** How many of the first `sizeBytes` bytes are not what {@link writePattern} wrote. */
export function countWrongBytes(memory: DeviceBuffer, sizeBytes: number, seed: number): number {
  const actual = Buffer.alloc(Math.min(CHUNK_SIZE_BYTES, sizeBytes));
  let wrong = 0;
  eachChunk(sizeBytes, seed, (offset, expected) => {
    const read = actual.subarray(0, expected.length);
    memory.read(offset, read);
    if (read.equals(expected)) return;
    for (let i = 0; i < expected.length; i += 1) if (read[i] !== expected[i]) wrong += 1;
  });
  return wrong;
}
