/** The embedded engine as a child process: started on a port, killed or drained, started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { linesOf } from '../bounded-input.ts';
import type { DeviceKind } from '../device-kind.ts';
import { errorText } from '../error-text.ts';
import { exitOf } from './ipc.ts';
import { RunError } from './run-error.ts';
import { type DemoTelemetry, engineFlagsOf } from './telemetry.ts';

export interface EngineOptions {
  readonly port: number;
  readonly poolSizeBytes: number;
  readonly device: DeviceKind;
  readonly ranks: number;
  readonly telemetry: DemoTelemetry | null;
}

export interface Listening {
  readonly pid: number;
  /** Wall-clock milliseconds, by the engine's own clock reading. */
  readonly atMs: number;
}

export interface EngineProcess {
  readonly pid: number;
  /** Rejects with a {@link RunError} when the engine ends before it listens. */
  readonly listening: Promise<Listening>;
  readonly exited: Promise<string>;
  kill(signal: 'SIGKILL' | 'SIGINT'): void;
}

/**
 * Spawns `pegaflow-lifecycle engine`. It is in a process group of its own, so that a terminal's Ctrl-C does not reach
 * it, and has a channel to this process, by whose end it ends.
 */
export function spawnEngine({ port, poolSizeBytes, device, ranks, telemetry }: EngineOptions): EngineProcess {
  const main = fileURLToPath(new URL(`../cli/main${extname(import.meta.url)}`, import.meta.url));
  const flags = [
    '--addr',
    `127.0.0.1:${port}`,
    ...engineFlagsOf(telemetry, ranks),
    '--pool-size',
    `${poolSizeBytes}`,
    '--device',
    device,
  ];
  const child = spawn(process.execPath, [main, 'engine', ...flags, '--log-level', 'error'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = exitOf(child);
  return { pid: child.pid ?? -1, listening: listeningOf(child, exited), exited, kill: (signal) => child.kill(signal) };
}

async function listeningOf(child: ChildProcess, exited: Promise<string>): Promise<Listening> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000);
  });
  const line = new Promise<Listening>((resolve, reject) => {
    if (child.stdout === null) return;
    tellListening(child.stdout, resolve).catch((error: unknown) => {
      reject(new RunError(`the engine wrote what cannot be read: ${errorText(error)}`));
    });
  });
  const ended = exited.then((how) => {
    throw new RunError(`the engine did not start (${how}): ${complaint.trim()}`);
  });
  const listening = Promise.race([line, ended]);
  listening.catch(() => {});
  return listening;
}

/** Reads on after that line: what nobody reads holds the engine up. */
async function tellListening(stdout: Readable, tell: (listening: Listening) => void): Promise<void> {
  for await (const text of linesOf(stdout)) {
    const listening = listeningFrom(text);
    if (listening !== null) tell(listening);
  }
}

/** Reads the line that the engine prints once it listens; `null` for any other. */
function listeningFrom(text: string): Listening | null {
  if (!text.startsWith('{')) return null;
  const { event, pid, atMs } = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return event === 'listening' && typeof pid === 'number' && typeof atMs === 'number' ? { pid, atMs } : null;
}
