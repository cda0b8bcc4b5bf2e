import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** How long a busy machine may take to stop every thread of a process, in milliseconds. */
const STOP_TIMEOUT_MS = 10_000;

/**
 * Sends it. After SIGSTOP it returns once every thread has stopped: `kill` returns when the signal is pending, and until one
 * thread was scheduled to take it, the others run on and may answer a call.
 */
export function signalProcess(child: ChildProcess, signal: NodeJS.Signals): void {
  child.kill(signal);
  if (signal !== 'SIGSTOP') return;
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS;
  while (!isStopped(child.pid!)) {
    if (performance.now() > deadlineMs)
      throw new Error(`process ${child.pid} did not stop within ${STOP_TIMEOUT_MS} ms`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((task) => {
    try {
      return /\) [TtZX]/.test(readFileSync(`${tasks}/${task}/stat`, 'utf8'));
    } catch {
      // This thread has ended since the list was read.
      return true;
    }
  });
}
