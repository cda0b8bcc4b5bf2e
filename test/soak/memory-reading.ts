/** What a process holds, read in that process. */
import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { wallTimeMs } from '../../src/wall-time.ts';

export interface MemoryReading {
  readonly atMs: number;
  /** What is alive: objects, and the memory outside the heap that they own. */
  readonly liveBytes: number;
  /**
   * What malloc has given out and not got back. Not counted: what malloc and V8 keep of what they got back (V8 keeps
   * some 150 MiB of pages after a second of churn), and device memory, which is mapped.
   */
  readonly nativeBytes: number;
  readonly descriptors: number;
}

const MALLINFO2_FIELDS = 'arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost'.split(' ');
/** Of glibc: `uordblks` are the bytes given out of arenas, `hblkhd` those mapped one by one. */
const mallinfo2 = koffi
  .load('libc.so.6')
  .func('mallinfo2', koffi.struct(Object.fromEntries(MALLINFO2_FIELDS.map((field) => [field, 'size_t']))), []);

setFlagsFromString('--expose-gc');
export const collectGarbage: () => void = runInNewContext('gc');

/** Collects garbage first. */
export function readMemory(): MemoryReading {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  const { uordblks, hblkhd } = mallinfo2();
  return {
    atMs: wallTimeMs(),
    liveBytes: heapUsed + external,
    nativeBytes: uordblks + hblkhd,
    descriptors: readdirSync('/proc/self/fd').length,
  };
}
