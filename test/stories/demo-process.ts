/** The command line as a process, and the processes below it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { identifyProcess, type ProcessIdentity } from '../../src/demo/leaks.ts';

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
