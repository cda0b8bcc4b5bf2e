import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { ParkedThread } from '../../../native-bindings/index.ts';
import { threadNamesOf } from '../../support/task-list.ts';
import { eventually } from '../../support/within.ts';

const NAME = 'gpu0-save';

const started = (name = NAME): ParkedThread => {
  const thread = ParkedThread.start(name);
  onTestFinished(() => thread[Symbol.dispose]());
  return thread;
};

const listed = (name = NAME): number => threadNamesOf('self').filter((each) => each === name).length;

const untilListed = (count: number, name = NAME): Promise<unknown> =>
  eventually(`${count} threads ${name}`, async () => (listed(name) === count ? true : null));

/** One line of `/proc/self/task/<tid>/status`. */
const statusOf = (name: string, field: string): string => {
  const tids = readdirSync('/proc/self/task');
  const status = tids
    .map((tid) => readFileSync(`/proc/self/task/${tid}/status`, 'utf8'))
    .find((text) => text.startsWith(`Name:\t${name}\n`));
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(status ?? '')?.[1] ?? '';
};

const runScript = async (script: string): Promise<string> => {
  const module = new URL('../../../native-bindings/index.ts', import.meta.url).href;
  const whole = `import { ParkedThread } from '${module}';\n${script}`;
  const args = ['--input-type=module', '--eval', whole];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 25_000 });
  return stdout.trim();
};

describe('ParkedThread', () => {
  afterEach(async () => {
    await untilListed(0);
  });

  test('it is in the task list under its name from the start on, and until it is disposed', async () => {
    const thread = started();
    expect(listed()).toBe(1);
    thread[Symbol.dispose]();
    await untilListed(0);
  });

  test('each of two under one name ends by itself', async () => {
    const [first, second] = [started(), started()];
    expect(listed()).toBe(2);
    await first[Symbol.asyncDispose]();
    await untilListed(1);
    await second[Symbol.asyncDispose]();
  });

  test('a second dispose does nothing', async () => {
    const [first, second] = [started(), started()];
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await first[Symbol.asyncDispose]();
    await untilListed(1);
    await second[Symbol.asyncDispose]();
  });

  test('the kernel keeps 15 bytes of a name', async () => {
    const thread = started('gpu12345678-save');
    expect(listed('gpu12345678-sav')).toBe(1);
    await thread[Symbol.asyncDispose]();
    await untilListed(0, 'gpu12345678-sav');
  });

  test('no signal ends it, and its creator takes signals as before', async () => {
    const ownBefore = readFileSync('/proc/thread-self/status', 'utf8').match(/^SigBlk:.*$/m)?.[0];
    const thread = started();
    const blocked = BigInt(`0x${statusOf(NAME, 'SigBlk')}`);
    const isBlocked = (signal: number) => (blocked >> BigInt(signal - 1)) & 1n;
    // SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM, SIGPROF
    expect([1, 2, 10, 12, 15, 27].map(isBlocked)).toEqual([1n, 1n, 1n, 1n, 1n, 1n]);
    expect(readFileSync('/proc/thread-self/status', 'utf8').match(/^SigBlk:.*$/m)?.[0]).toBe(ownBefore);
    await thread[Symbol.asyncDispose]();
  });

  test('a thousand of them leave no thread, and no stack of theirs stays mapped', async () => {
    const mappedKiB = () => Number(/^VmSize:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
    const thousand = async () => {
      const threads = Array.from({ length: 1000 }, () => ParkedThread.start(NAME));
      expect(listed()).toBe(1000);
      await Promise.all(threads.map((thread) => thread[Symbol.asyncDispose]()));
      await untilListed(0);
    };
    await thousand();
    const before = mappedKiB();
    await thousand();
    // The stacks of a thousand threads that nobody collected would be 8 GiB.
    expect(mappedKiB() - before).toBeLessThan(256 << 10);
  });

  test('it alone does not keep a process running', async () => {
    expect(await runScript(`ParkedThread.start('${NAME}'); console.log('started');`)).toBe('started');
  });

  test('at the limit of threads it is refused with the reason, and nothing is left', async () => {
    const script = `
      import { execFileSync } from 'node:child_process';
      import { readdirSync } from 'node:fs';
      await ParkedThread.start('first')[Symbol.asyncDispose]();
      execFileSync('prlimit', ['--nproc=1:1', '--pid', String(process.pid)]);
      // Limits do not bind root.
      if (process.getuid() === 0) process.setuid(65534);
      const count = readdirSync('/proc/self/task').length;
      try {
        ParkedThread.start('${NAME}');
      } catch ({ name, code, syscall, message }) {
        console.log(JSON.stringify([name, code, syscall, message, readdirSync('/proc/self/task').length - count]));
      }`;
    const message = 'pthread_create gpu0-save: EAGAIN: resource temporarily unavailable';
    expect(JSON.parse(await runScript(script))).toEqual(['ThreadError', 'EAGAIN', 'pthread_create', message, 0]);
  });
});
