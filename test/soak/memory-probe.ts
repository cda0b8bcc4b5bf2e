/**
 * Loaded into every process of a soak before its own code, with `?folder=`: writes a reading of this process's memory,
 * taken after a garbage collection, into that folder every few seconds, in a file named by the pid.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { wallTimeMs } from '../../src/wall-time.ts';

export interface MemoryReading {
  readonly atMs: number;
  /** What is alive: objects, and the memory outside the heap that they own. */
  readonly liveBytes: number;
  /** Anonymous pages that are not the heap's, without those that malloc keeps for later. Device memory is shared: not among them. */
  readonly nativeBytes: number;
  readonly descriptors: number;
}

const READING_INTERVAL_MS = 10_000;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
/** int malloc_trim(size_t pad); */
const trim = koffi.load('libc.so.6').func('malloc_trim', 'int', ['size_t']);
const path = `${new URL(import.meta.url).searchParams.get('folder')}/${process.pid}`;

setInterval(() => {
  collectGarbage();
  // What a first collection finalizes the second one frees.
  setImmediate(() => {
    collectGarbage();
    trim(0);
    writeFileSync(path, JSON.stringify(readMemory()));
  });
}, READING_INTERVAL_MS).unref();

function readMemory(): MemoryReading {
  const { heapUsed, external } = process.memoryUsage();
  const anonymousKiB = Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  return {
    atMs: wallTimeMs(),
    liveBytes: heapUsed + external,
    nativeBytes: anonymousKiB * 1024 - getHeapStatistics().total_physical_size,
    descriptors: readdirSync('/proc/self/fd').length,
  };
}
