/** What a run has left on the machine, looked up in /proc and /dev/shm after everything has ended. */
import { readdirSync, readFileSync } from 'node:fs';

export interface LeakCounts {
  readonly leakedProcesses: number;
  readonly leakedSharedMemory: number;
  readonly leakedSockets: number;
}

/** A process by what no later process shares with it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/<pid>/stat), as text. */
  readonly startTime: string;
}

/** Who a living process is; `null` once it is gone, or dead and only waiting to be reaped. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const fields = statFields(pid);
  const [state, startTime] = [fields[0], fields[19]];
  return state === undefined || startTime === undefined || state === 'Z' || state === 'X' ? null : { pid, startTime };
}

/** The living processes of a session: those that a detached process has started, unless they left it. */
export function membersOfSession(session: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const [state, , , ofPid] = statFields(pid);
      return ofPid === String(session) && state !== 'Z' && state !== 'X';
    });
}

/** Counts what `processes` and the port they served have left behind. */
export function countLeaks(processes: readonly ProcessIdentity[], port: number | null): LeakCounts {
  return {
    leakedProcesses: processes.filter(({ pid, startTime }) => identifyProcess(pid)?.startTime === startTime).length,
    leakedSharedMemory: sharedMemoryOf(new Set(processes.map(({ pid }) => pid))).length,
    leakedSockets: port === null ? 0 : socketsOn(port),
  };
}

const DEVICE_SEGMENT = /^pegaflow_dev_(\d+)_/;
const LOAD_STATE = /^pega_load_[0-9a-f]{32}$/;
/** Where our load states carry the stamp of their creator, and the bits of it that are a pid (native-bindings/). */
const CREATOR_STAMP_OFFSET = 24;
const CREATOR_PID_MASK = 2 ** 22 - 1;

function sharedMemoryOf(pids: ReadonlySet<number>): string[] {
  return readdirSync('/dev/shm').filter((name) => {
    const owner = DEVICE_SEGMENT.exec(name)?.[1];
    return pids.has(owner === undefined ? loadStateCreator(name) : Number(owner));
  });
}

function loadStateCreator(name: string): number {
  if (!LOAD_STATE.test(name)) return Number.NaN;
  try {
    return readFileSync(`/dev/shm/${name}`).readUInt32LE(CREATOR_STAMP_OFFSET) & CREATOR_PID_MASK;
  } catch {
    return Number.NaN;
  }
}

const TCP_ESTABLISHED = '01';
const TCP_LISTEN = '0A';

/** Sockets that listen on the port or hold a connection to it. */
function socketsOn(port: number): number {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((path) => readText(path).split('\n').slice(1))
    .filter((line) => {
      const [, local, remote, state] = line.trim().split(/\s+/);
      const ours = local?.endsWith(`:${hexPort}`) === true || remote?.endsWith(`:${hexPort}`) === true;
      return ours && (state === TCP_ESTABLISHED || state === TCP_LISTEN);
    }).length;
}

/** The fields of /proc/<pid>/stat after the command name, which may itself hold spaces and parentheses. */
function statFields(pid: number): string[] {
  const stat = readText(`/proc/${pid}/stat`);
  return stat === '' ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
