/**
 * Holds the server that a run was given: it starts the command in a process group of its own, tells who listens at the
 * server's port, and ends the whole group when the command has ended or the run is gone, however that ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { listeningInodes, pidOfSocket } from '../../rpc/holder/socket-owner.ts';
import { wallTimeMs } from '../../wall-time.ts';
import { exitOf, parentChannel } from '../hosts/ipc.ts';
import { identifyProcess, membersOfSession } from '../leaks.ts';
import type { FromServerHost, ToServerHost } from './server-host-messages.ts';

/** Between two looks at the port, in milliseconds. */
const LOOK_INTERVAL_MS = 4;
/** Between two looks at the listener, and how long its starter may outlive it. */
const LISTENER_CHECK_INTERVAL_MS = 50;
const STARTER_GRACE_MS = 250;

const channel = parentChannel<ToServerHost, FromServerHost>();

let child: ChildProcess | null = null;

channel.onMessage(({ path, flags, port }) => {
  // Its output goes where ours goes: to the run.
  const started = spawn(path, [...flags], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
  child = started;
  void exitOf(started).then(end);
  if (started.pid !== undefined) void tellListener(started.pid, port);
});

channel.onClosed(() => {
  killGroup();
  process.exit();
});

async function tellListener(pid: number, port: number): Promise<void> {
  for (;;) {
    const atMs = wallTimeMs();
    const inodes = await listeningInodes(port);
    const owners = await Promise.all(inodes.map((inode) => pidOfSocket(inode, pid)));
    const listener = owners.find((owner) => owner !== null && (owner === pid || isBelow(owner, pid)));
    if (typeof listener === 'number') {
      channel.send({ type: 'listening', pid: listener, atMs });
      await watchListener(listener);
      return;
    }
    await pause(LOOK_INTERVAL_MS);
  }
}

/** A starter that stays when its server is gone would start another one, or wait for ever. */
async function watchListener(pid: number): Promise<void> {
  const identity = identifyProcess(pid);
  while (identity !== null && identifyProcess(pid)?.startTime === identity.startTime) {
    await pause(LISTENER_CHECK_INTERVAL_MS);
  }
  await pause(STARTER_GRACE_MS);
  killGroup();
}

async function end(how: string): Promise<void> {
  killGroup();
  const session = child?.pid;
  while (session !== undefined && membersOfSession(session).length > 0) await pause(LOOK_INTERVAL_MS);
  channel.send({ type: 'ended', how });
  if (process.connected) process.disconnect();
  process.exit();
}

/** Whoever of the group is left, whether the command itself still runs or not. */
function killGroup(): void {
  if (child?.pid === undefined) return;
  for (const pid of [-child.pid, ...membersOfSession(child.pid)]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Nobody is left of it.
    }
  }
}

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; at = parentOf(at)) if (at === ancestor) return true;
  return membersOfSession(ancestor).includes(pid);
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
