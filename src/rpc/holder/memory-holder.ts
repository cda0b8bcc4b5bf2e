/**
 * Which processes of this host can touch our device memory, read from /proc. Linux only; elsewhere nobody is found. Whoever owns
 * a socket is known to own that socket alone: a proxy on this host owns the accepted end of our connection and maps nothing.
 */
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import { holdsOpen, numbersIn, processes } from './open-sockets.ts';
import { type CopyThread, isStartedIn, type RegisterTime } from './register-time.ts';
import { SharedReads } from './shared-reads.ts';
import { mentions } from './text-in-file.ts';

/** What of this host's device memory a connector has at the server, as far as /proc can show who holds it. */
export interface OurMemory {
  /** CUDA ordinal as the server sees it; its copy threads are named after it. `null`: of any device. */
  readonly deviceId: number | null;
  /** Objects in /dev/shm, where the device is emulated. Empty: a CUDA device, whose mappings /proc tells of none. */
  readonly segments: readonly string[];
}

/** Of every emulated device; one of each, where nobody said which. */
const ANY_SEGMENT = '/dev/shm/pegaflow_dev_';
const DEVICE = '/dev/nvidia';

/** Looked at side by side: the host's own calls share the threads of libuv with these. */
const THREADS_AT_A_TIME = 32;
/** The kernel's own limit of process ids is 64 times that. */
const MAX_THREADS = 65_536;

/**
 * Whether this process can touch the memory: it maps a segment of it or, where /proc shows no segments, holds the device or
 * started copy threads for it at our own Register. So it is where its mappings are hidden from us: it is another user's. The
 * process that owns the memory is none of the server's.
 */
export async function holdsMemory(pid: number, memory: OurMemory, time: RegisterTime): Promise<boolean> {
  if (pid === process.pid) return false;
  const { segments, deviceId } = memory;
  const paths = segments.map((name) => `/dev/shm/${name}`);
  if (paths.length > 0) return (await mentions(`/proc/${pid}/maps`, paths)) ?? hasThreadsOf(pid, deviceId, time);
  if (await holdsOpen(pid, (target) => target.startsWith(DEVICE))) return true;
  if (deviceId === null) return (await mentions(`/proc/${pid}/maps`, [ANY_SEGMENT])) === true;
  return hasThreadsOf(pid, deviceId, time);
}

/**
 * All visible processes but our own that can touch the memory, for where a proxy stands between. Many may hold a device, and a
 * frozen one maps what was registered there before: those count whose copy threads were started at our own Register.
 */
export async function holdersOf(memory: OurMemory, time: RegisterTime): Promise<readonly number[]> {
  const { segments, deviceId } = memory;
  if (segments.length === 0 && deviceId === null) return [];
  const holders: number[] = [];
  for await (const pids of processes()) {
    const found = await Promise.all(
      pids.map(async (pid) => (await holdsMemory(pid, memory, time)) && (await hasThreadsOf(pid, deviceId, time))),
    );
    holders.push(...pids.filter((_, i) => found[i]));
  }
  return holders;
}

/** The threads that copy for this device now, of whatever registration. None where the process cannot be seen. */
export async function copyThreads(pid: number, deviceId: number): Promise<readonly CopyThread[]> {
  const question: { threads: readonly NamedThread[] } = { threads: [] };
  await threadPasses.ask(`/proc/${pid}/task`, question);
  return (['save', 'load'] as const).flatMap((copies) => {
    const ofKind = question.threads.filter(({ name }) => name === `gpu${deviceId}-${copies}`);
    return ofKind.map(({ tid, startTicks }) => ({ tid, copies, startTicks }));
  });
}

interface NamedThread extends Omit<CopyThread, 'copies'> {
  readonly name: string;
}

/** A server has two for each rank that it serves, and many of these may ask at once. */
const threadPasses = new SharedReads<{ threads: readonly NamedThread[] }>(async (folder, questions) => {
  const threads: NamedThread[] = [];
  for await (const tids of numbersIn(folder, THREADS_AT_A_TIME, MAX_THREADS)) {
    const stats = await Promise.all(tids.map((tid) => readFile(`${folder}/${tid}/stat`, 'latin1').catch(() => null)));
    for (const [i, stat] of stats.entries()) {
      if (stat === null) continue;
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      threads.push({ tid: tids[i]!, name, startTicks: startTicksIn(stat) });
    }
  }
  for (const question of questions) question.threads = threads;
});

/** `ending`: the process itself ends, so that the end of its threads says nothing of the copies that they had begun. */
export type ThreadsLeft = 'some' | 'none' | 'ending';

/** Whether any of these threads of a process is still there. */
export async function threadsLeft(pid: number, threads: readonly CopyThread[]): Promise<ThreadsLeft> {
  const statOf = (path: string) => readFile(`/proc/${path}/stat`, 'latin1').catch(() => null);
  const stats = await Promise.all(threads.map(({ tid }) => statOf(`${pid}/task/${tid}`)));
  const isThere = ({ startTicks }: CopyThread, i: number) => {
    const stat = stats[i];
    return typeof stat === 'string' && startTicksIn(stat) === startTicks;
  };
  if (threads.some(isThere)) return 'some';
  // Looked at last: a process that lives now did not end them by its own end.
  const leader = await statOf(String(pid));
  return leader === null || ENDING_STATES.includes(stateIn(leader)) ? 'ending' : 'none';
}

/** proc(5): zombie and dead. */
const ENDING_STATES = ['Z', 'X', 'x'];

/** proc(5): the third field of `stat`, after the name in brackets. */
function stateIn(stat: string): string {
  return stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
}

/** Time since boot as threads' starts are told, in 1/100 s. */
export function ticksNow(): number {
  return Math.floor(uptime() * TICKS_PER_S);
}

/** `USER_HZ`, the same on every Linux that Node runs on. */
const TICKS_PER_S = 100;
/** proc(5): the 22nd field of `stat`, of which the second is in brackets and may hold blanks. */
const START_FIELD_AFTER_NAME = 19;

function startTicksIn(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD_AFTER_NAME]);
}

async function hasThreadsOf(pid: number, deviceId: number | null, time: RegisterTime): Promise<boolean> {
  if (deviceId === null) return false;
  return (await copyThreads(pid, deviceId)).some((thread) => isStartedIn(time, thread));
}
