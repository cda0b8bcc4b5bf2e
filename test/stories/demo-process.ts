/** The command line as a process, and the processes below it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { countLeaks, identifyProcess, type ProcessIdentity } from '../../src/demo/leaks.ts';
import type { RunReport } from '../../src/demo/report/report.ts';
import { installed } from '../real/installation.ts';
import { atEnd } from '../support/own.ts';
import { publishedUnderTest } from '../support/version-under-test.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Settles when a line of standard output or standard error matches; rejects when the process ends before. */
  line(pattern: RegExp): Promise<string>;
}

const END_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 20;

/** A command line that starts the server that this run of the tests is about, and takes its flags. */
export const serverUnderTest: { readonly path: string; readonly flags: readonly string[] } | null =
  publishedUnderTest === null
    ? null
    : { path: installed(publishedUnderTest).server, flags: ['--disable-numa-affinity'] };

/** A demo, ended with the test, whose server is the one that this run of the tests is about. */
export function startDemo(...args: string[]): CommandProcess {
  const own = serverUnderTest === null ? [] : ['--server', serverUnderTest.path, '--', ...serverUnderTest.flags];
  return startDemoWith(...args, ...own);
}

/** The same with the server that the arguments name. */
export function startDemoWith(...args: string[]): CommandProcess {
  const demo = startCommand('demo', ...args);
  atEnd(async () => {
    demo.child.kill('SIGTERM');
    await demo.ended;
  });
  return demo;
}

/** What is left of these processes once they have had the time to end. */
export async function leftOf(processes: readonly ProcessIdentity[]) {
  const untilMs = performance.now() + END_TIMEOUT_MS;
  for (;;) {
    const leaks = countLeaks(processes, null);
    if (performance.now() > untilMs || Object.values(leaks).every((count) => count === 0)) return leaks;
    await pause(POLL_INTERVAL_MS);
  }
}

export const NOTHING_LEFT = { leakedProcesses: 0, leakedSharedMemory: 0, leakedSockets: 0 };

export function startCommand(...args: string[]): CommandProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      for (const listener of [...listeners]) listener();
    });
  }
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...texts })));
  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = `${texts.stdout}\n${texts.stderr}`.split('\n').find((text) => pattern.test(text));
        if (found === undefined) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
      void ended.then(({ code }) => reject(new Error(`ended with ${code} before ${pattern}: ${texts.stderr}`)));
    });
  return { child, ended, line };
}

/** The report of a demo that was asked for `--json`. @throws Error with what it said where there is none */
export function reportIn({ code, stdout, stderr }: Ended): RunReport {
  if (stdout === '') throw new Error(`the demo ended with ${code} and without a report: ${stderr}`);
  return JSON.parse(stdout) as RunReport;
}

/** Every living process below `pid`, at any depth. */
export function descendantsOf(pid: number): ProcessIdentity[] {
  const children = childrenOf(pid);
  return children.flatMap((child) => [identifyProcess(child) ?? [], descendantsOf(child)].flat());
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim();
      return children === '' ? [] : children.split(' ').map(Number);
    });
  } catch {
    return [];
  }
}
