import { type FileHandle, open } from 'node:fs/promises';
import { SharedReads } from './shared-reads.ts';

const PIECE_BYTES = 64 << 10;

interface Question {
  readonly wanted: readonly Buffer[];
  /** `null`: it could not be read. */
  isFound: boolean | null;
}

const passes = new SharedReads<Question>(async (path, questions) => {
  const file = await open(path);
  try {
    await searchPieces(file, questions);
  } finally {
    await file.close();
  }
});

/** Whether the file holds one of these texts; read in pieces, off the event loop. `null` where it cannot be read. */
export async function mentions(path: string, texts: readonly string[]): Promise<boolean | null> {
  const question: Question = { wanted: texts.map((text) => Buffer.from(text)), isFound: null };
  await passes.ask(path, question);
  return question.isFound;
}

async function searchPieces(file: FileHandle, questions: readonly Question[]): Promise<void> {
  const overlapBytes = Math.max(...questions.flatMap(({ wanted }) => wanted.map(({ length }) => length))) - 1;
  const piece = Buffer.alloc(PIECE_BYTES + overlapBytes);
  let keptBytes = 0;
  let unanswered = questions;
  while (unanswered.length > 0) {
    const { bytesRead } = await file.read(piece, keptBytes, PIECE_BYTES, null);
    const filled = piece.subarray(0, keptBytes + bytesRead);
    for (const question of unanswered) question.isFound = question.wanted.some((text) => filled.includes(text));
    if (bytesRead === 0) return;
    unanswered = unanswered.filter(({ isFound }) => !isFound);
    keptBytes = Math.min(overlapBytes, filled.length);
    piece.copyWithin(0, filled.length - keptBytes, filled.length);
  }
}
