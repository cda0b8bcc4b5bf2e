/** The TCP sockets of this host as /proc/net lists them, read off the event loop and in pieces however many there are. */
import { type FileHandle, open } from 'node:fs/promises';
import { SharedReads } from './shared-reads.ts';

const TABLES: readonly string[] = ['/proc/net/tcp', '/proc/net/tcp6'];

/** Some 400 rows: few enough to be searched between two turns of the event loop. */
const PIECE_BYTES = 64 << 10;

const LINE_END = 0x0a;
/** The column of the inode, counted from 0. */
const INODE_FIELD = 9;

interface Question {
  /** Rows that hold one of these texts are wanted. */
  readonly texts: readonly Buffer[];
  readonly inodes: Set<string>;
}

// A host without /proc has no tables.
const passes = new SharedReads<Question>(readTable);

/** Inodes of the sockets whose row holds one of these texts. */
export async function inodesOfRows(texts: readonly string[], tables = TABLES): Promise<readonly string[]> {
  const question = { texts: texts.map((text) => Buffer.from(text)), inodes: new Set<string>() };
  await Promise.all(tables.map((path) => passes.ask(path, question)));
  return [...question.inodes];
}

async function readTable(path: string, questions: readonly Question[]): Promise<void> {
  const file = await open(path);
  try {
    await searchPieces(file, questions);
  } finally {
    await file.close();
  }
}

async function searchPieces(file: FileHandle, questions: readonly Question[]): Promise<void> {
  const piece = Buffer.alloc(PIECE_BYTES);
  let keptBytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(piece, keptBytes, PIECE_BYTES - keptBytes, null);
    const filledBytes = keptBytes + bytesRead;
    const rows = piece.subarray(0, bytesRead === 0 ? filledBytes : piece.lastIndexOf(LINE_END, filledBytes - 1) + 1);
    for (const question of questions) search(rows, question);
    if (bytesRead === 0) return;
    piece.copyWithin(0, rows.length, filledBytes);
    keptBytes = filledBytes - rows.length;
  }
}

function search(rows: Buffer, { texts, inodes }: Question): void {
  for (const text of texts) {
    for (let at = rows.indexOf(text); at >= 0; at = rows.indexOf(text, at + text.length)) {
      const end = rows.indexOf(LINE_END, at);
      const row = rows.toString('latin1', rows.lastIndexOf(LINE_END, at) + 1, end < 0 ? rows.length : end);
      const inode = row.trim().split(/\s+/)[INODE_FIELD];
      // A socket that no process holds any more has none.
      if (inode !== undefined && inode !== '0') inodes.add(inode);
    }
  }
}
