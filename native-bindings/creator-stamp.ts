import { readFileSync, statSync } from 'node:fs';
import { hasCode } from './system-call-error.ts';

/**
 * Names the process that created a shared-memory object, in 64 bits, so that others can tell whether it still lives:
 * pid (bits 0–21: Linux allows no larger one), PID namespace (bits 22–43 of its inode number) and start time in clock
 * ticks since boot (20 bits: a reused pid passes for its predecessor once in a million). Never 0.
 */
export type CreatorStamp = bigint;

const PID_BITS = 22n;
const NAMESPACE_BITS = 22n;
const START_BITS = 20n;
const NAMESPACE_SHIFT = PID_BITS;
const START_SHIFT = PID_BITS + NAMESPACE_BITS;

interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: bigint;
}

let own: CreatorStamp | undefined;

/** The stamp of this process. @throws Error where `/proc` cannot be read */
export function ownStamp(): CreatorStamp {
  if (own === undefined) {
    const identity = readIdentity('self');
    if (identity === null) throw new Error('/proc/self/stat does not describe a living process');
    own = stampOf(identity, statSync('/proc/self/ns/pid', { bigint: true }).ino);
  }
  return own;
}

/** The pid in a stamp, as its own PID namespace counts. */
export function pidOf(stamp: CreatorStamp): number {
  return Number(BigInt.asUintN(Number(PID_BITS), stamp));
}

/**
 * Whether the creator still lives. `elsewhere` is a process in another PID namespace, of which nothing can be known from here;
 * a killed process that its parent has not collected yet is `gone`, because its memory is.
 */
export function creatorState(stamp: CreatorStamp): 'alive' | 'gone' | 'elsewhere' {
  if (namespaceOf(stamp) !== namespaceOf(ownStamp())) return 'elsewhere';
  const identity = readIdentity(String(pidOf(stamp)));
  return identity !== null && startOf(stamp) === BigInt.asUintN(Number(START_BITS), identity.startTicks)
    ? 'alive'
    : 'gone';
}

function stampOf({ pid, startTicks }: ProcessIdentity, namespaceInode: bigint): CreatorStamp {
  const namespace = BigInt.asUintN(Number(NAMESPACE_BITS), namespaceInode);
  const start = BigInt.asUintN(Number(START_BITS), startTicks);
  return BigInt(pid) | (namespace << NAMESPACE_SHIFT) | (start << START_SHIFT);
}

function namespaceOf(stamp: CreatorStamp): bigint {
  return BigInt.asUintN(Number(NAMESPACE_BITS), stamp >> NAMESPACE_SHIFT);
}

function startOf(stamp: CreatorStamp): bigint {
  return BigInt.asUintN(Number(START_BITS), stamp >> START_SHIFT);
}

/** Reads `/proc/<process>/stat` (proc(5)); `null` for a process that has ended. */
function readIdentity(process: string): ProcessIdentity | null {
  const stat = readStat(process);
  if (stat === null) return null;
  // The command name in parentheses may itself hold spaces and parentheses; the numbered fields go on after the last one.
  const fromState = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fromState[0];
  const startTicks = fromState[19];
  if (startTicks === undefined) throw new Error(`/proc/${process}/stat has fewer fields than proc(5) lists`);
  if (state === 'Z' || state === 'X') return null;
  return { pid: Number.parseInt(stat, 10), startTicks: BigInt(startTicks) };
}

function readStat(process: string): string | null {
  try {
    return readFileSync(`/proc/${process}/stat`, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return null;
    throw error;
  }
}
