/** The processes that a launcher has put into a PID namespace of their own, as seen from outside. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export interface PidNamespace {
  readonly inode: bigint;
  /** The pids here of processes by their pids in it; those that are gone are left out. */
  pidsHere(pids: readonly number[]): number[];
}

/** That of the children of a process. */
export function pidNamespaceBelow(launcherPid: number): PidNamespace {
  const path = `/proc/${launcherPid}/ns/pid_for_children`;
  const link = readlinkSync(path);
  return {
    inode: statSync(path, { bigint: true }).ino,
    pidsHere: (pids) => {
      const here = new Map(membersOf(link).map((pid) => [innermostPid(pid), pid]));
      return pids.flatMap((pid) => here.get(pid) ?? []);
    },
  };
}

function membersOf(link: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => linkOf(pid) === link);
}

/** `null`: it is gone. */
function linkOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

function innermostPid(pid: number): number | null {
  try {
    return Number(/^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return null;
  }
}
