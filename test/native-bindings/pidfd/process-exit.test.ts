import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { watchProcessExit } from '../../../native-bindings/index.ts';
import { childNobodyCollects } from '../uncollected-child.ts';

/** The process descriptors that this process holds open. */
const openPidfds = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('pidfd');
    } catch {
      return false;
    }
  }).length;

/** A process that waits until it is killed. */
const idleProcess = (): { readonly pid: number; kill(): Promise<void> } => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  if (child.pid === undefined) throw new Error('sleep did not start');
  return { pid: child.pid, kill };
};

describe('watchProcessExit', () => {
  afterEach(() => {
    expect(openPidfds()).toBe(0);
  });

  test('it says nothing while the process lives, and tells when it was killed', async () => {
    const idle = idleProcess();
    const watch = watchProcessExit(idle.pid);
    expect(watch.hasExited).toBe(false);
    expect(openPidfds()).toBe(1);
    await Promise.all([idle.kill(), watch.exited]);
    expect(watch.hasExited).toBe(true);
    watch[Symbol.dispose]();
  });

  test('a process that its parent has not collected has exited', async () => {
    const pid = await childNobodyCollects();
    const watch = watchProcessExit(pid);
    process.kill(pid, 'SIGKILL');
    await watch.exited;
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /);
  });

  test('a pid that names no process has exited', async () => {
    const idle = idleProcess();
    await idle.kill();
    const watch = watchProcessExit(idle.pid);
    expect(watch.hasExited).toBe(true);
    await watch.exited;
    watch[Symbol.dispose]();
  });

  test('a disposed watch lets go of its descriptor once and stays silent', async () => {
    const idle = idleProcess();
    const watch = watchProcessExit(idle.pid);
    watch[Symbol.dispose]();
    // It gets the number that was given back, which a second close would take from it.
    const other = watchProcessExit(idle.pid);
    watch[Symbol.dispose]();
    expect(openPidfds()).toBe(1);
    await Promise.all([idle.kill(), other.exited]);
    expect(watch.hasExited).toBe(false);
  });

  test('it kills the process that it watches, and nobody once that has exited or nobody watches', async () => {
    const idle = idleProcess();
    const watch = watchProcessExit(idle.pid);
    watch.kill();
    await watch.exited;
    watch.kill();
    const other = idleProcess();
    const disposed = watchProcessExit(other.pid);
    disposed[Symbol.dispose]();
    disposed.kill();
    expect(() => process.kill(other.pid, 0)).not.toThrow();
    watch[Symbol.dispose]();
  });

  test('what cannot be a pid is refused with the reason', () => {
    expect(() => watchProcessExit(-1)).toThrow(
      expect.objectContaining({ name: 'ProcessWatchError', code: 'EINVAL', syscall: 'pidfd_open' }),
    );
  });

  test('a watch alone does not keep a process running', async () => {
    const module = new URL('../../../native-bindings/index.ts', import.meta.url).href;
    const script = `import { watchProcessExit } from '${module}'; watchProcessExit(process.ppid);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' });
    onTestFinished(() => void child.kill('SIGKILL'));
    expect(await once(child, 'exit')).toEqual([0, null]);
  }, 30_000);
});
