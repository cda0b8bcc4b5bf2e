import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { type CreatorStamp, creatorState } from './creator-stamp.ts';
import { creatorOfSegment } from './emulated-device/handle.ts';
import { LOAD_STATE_PREFIX, LOAD_STATE_SIZE_BYTES, LOAD_STATE_STAMP_OFFSET } from './load-state.ts';
import { SHM_DIRECTORY, unlinkObject } from './posix-shm/object.ts';
import { hasCode } from './system-call-error.ts';
import { creatorOfRefCounters } from './torch-ref-counters.ts';

/**
 * Removes what killed processes of ours left in shared memory: segments of emulated devices, files of reference counters and load-state records whose
 * creator's stamp names a process that is gone. Objects of living processes, of processes in other PID namespaces (which
 * cannot be seen from here), without a stamp of ours, or that this user may not remove, stay.
 * @returns the names removed
 */
export function sweepSharedMemory(): string[] {
  return readdirSync(SHM_DIRECTORY).filter((name) => {
    const creator = creatorOf(name);
    return creator !== null && creatorState(creator) === 'gone' && remove(name);
  });
}

/** A record of a load that a server may still be about to open is younger. */
const ABANDONED_AFTER_MS = 30_000;

let swept: Promise<number> | null = null;

/**
 * Once in the life of this process, beside other work: removes the load-state records that killed processes of ours left 30 s
 * ago or earlier, a page of memory each. What a sweep cannot read or remove stays.
 * @returns how many were removed
 */
export function sweepLoadRecords(): Promise<number> {
  swept ??= removeLoadRecords().catch(() => 0);
  return swept;
}

async function removeLoadRecords(): Promise<number> {
  let removed = 0;
  for await (const { name } of await opendir(SHM_DIRECTORY)) {
    if (!name.startsWith(LOAD_STATE_PREFIX)) continue;
    // One object a turn: there may be any number of them, and this process serves meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    const creator = creatorOfLoadState(name, Date.now() - ABANDONED_AFTER_MS);
    if (creator !== null && creatorState(creator) === 'gone' && remove(name)) removed += 1;
  }
  return removed;
}

function creatorOf(name: string): CreatorStamp | null {
  return name.startsWith(LOAD_STATE_PREFIX)
    ? creatorOfLoadState(name)
    : (creatorOfSegment(name) ?? creatorOfRefCounters(name));
}

/** Another implementation of the same record leaves the stamp's place empty: 0 names a PID namespace that nobody is in. */
function creatorOfLoadState(name: string, latestMs = Number.POSITIVE_INFINITY): CreatorStamp | null {
  const path = `${SHM_DIRECTORY}/${name}`;
  try {
    const stats = lstatSync(path);
    if (!stats.isFile() || stats.size !== LOAD_STATE_SIZE_BYTES || stats.mtimeMs > latestMs) return null;
    return readFileSync(path).readBigUInt64LE(LOAD_STATE_STAMP_OFFSET);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return null;
    throw error;
  }
}

function remove(name: string): boolean {
  try {
    unlinkObject(name);
    return true;
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) return false;
    throw error;
  }
}
