import { readdirSync, readFileSync, rmSync } from 'node:fs';

/** Every shared-memory object, by name. */
export function shmObjects(): string[] {
  return readdirSync('/dev/shm');
}

/** A name for an object of a test, which {@link shmObjectsOf} finds. */
export function testObjectName(): string {
  nameCount += 1;
  return `pegaflow_test_${process.pid}_${nameCount}`;
}

let nameCount = 0;

/** The objects that a process of these tests left in shared memory, whichever kind they are. */
export function shmObjectsOf(pid: number): string[] {
  return shmObjects().filter(
    (name) =>
      name.startsWith(`pegaflow_test_${pid}_`) ||
      name.startsWith(`pegaflow_dev_${pid}_`) ||
      (name.startsWith('pega_load_') && creatorPidOf(name) === pid),
  );
}

/** For whoever has killed that process. Other than a sweep this takes nothing that another test waits to find. */
export function removeShmObjectsOf(pid: number): void {
  for (const name of shmObjectsOf(pid)) rmSync(`/dev/shm/${name}`, { force: true });
}

/** The lowest 22 bits of the stamp in the record's last 8 bytes; another test may have unlinked the object meanwhile. */
function creatorPidOf(name: string): number | null {
  try {
    return readFileSync(`/dev/shm/${name}`).readUInt32LE(24) & 0x3f_ffff;
  } catch {
    return null;
  }
}
