/**
 * Loaded into every process of a soak before its own code, with `?folder=`: writes a reading of this process's memory
 * into that folder every few seconds, in a file named by the pid.
 */
import { writeFileSync } from 'node:fs';
import { collectGarbage, readMemory } from './memory-reading.ts';

const READING_INTERVAL_MS = 10_000;

const path = `${new URL(import.meta.url).searchParams.get('folder')}/${process.pid}`;

setInterval(() => {
  collectGarbage();
  // What a first collection finalizes the second one frees.
  setImmediate(() => writeFileSync(path, JSON.stringify(readMemory())));
}, READING_INTERVAL_MS).unref();
