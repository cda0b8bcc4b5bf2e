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

/** What processes of one PID namespace left there, whose pids mean nothing outside: after the end of that namespace. */
export function removeShmObjectsOfNamespace(inode: bigint): void {
  for (const name of shmObjects()) {
    const [, stamp] = /^pegaflow_dev_\d+_([0-9a-f]{16})_/.exec(name) ?? [];
    if (stamp === undefined) continue;
    const namespace = BigInt.asUintN(NAMESPACE_BITS, BigInt(`0x${stamp}`) >> PID_BITS);
    if (namespace === BigInt.asUintN(NAMESPACE_BITS, inode)) rmSync(`/dev/shm/${name}`, { force: true });
  }
}

const PID_BITS = 22n;
const NAMESPACE_BITS = 22;

/** The lowest 22 bits of the stamp in the record's last 8 bytes; another test may have unlinked the object meanwhile. */
function creatorPidOf(name: string): number | null {
  try {
    return readFileSync(`/dev/shm/${name}`).readUInt32LE(24) & 0x3f_ffff;
  } catch {
    return null;
  }
}
