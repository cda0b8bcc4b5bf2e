import { open } from 'node:fs/promises';

const PIECE_BYTES = 64 << 10;

/** Whether the file holds one of these texts; read in pieces, off the event loop. `false` where it cannot be read. */
export async function mentions(path: string, texts: readonly string[]): Promise<boolean> {
  const wanted = texts.map((text) => Buffer.from(text));
  const overlapBytes = Math.max(...wanted.map(({ length }) => length)) - 1;
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    const piece = Buffer.alloc(PIECE_BYTES + overlapBytes);
    let keptBytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, keptBytes, PIECE_BYTES, null);
      const filled = piece.subarray(0, keptBytes + bytesRead);
      if (wanted.some((text) => filled.includes(text))) return true;
      if (bytesRead === 0) return false;
      keptBytes = Math.min(overlapBytes, filled.length);
      piece.copyWithin(0, filled.length - keptBytes, filled.length);
    }
  } catch {
    // It ended while it was read.
    return false;
  } finally {
    await file.close();
  }
}
