/** The embedded engine as a child process: started on a port, killed or drained, started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { linesOf } from '../../bounded-input.ts';
import type { DeviceKind } from '../../device-kind.ts';
import { errorText } from '../../error-text.ts';
import { exitOf } from '../hosts/ipc.ts';
import { RunError } from '../run-error.ts';
import { type DemoTelemetry, engineFlagsOf } from '../telemetry.ts';
import type { ServerLog } from './server-log.ts';
import type { Listening, ServerProcess } from './server-process.ts';

export interface EngineOptions {
  readonly port: number;
  readonly poolSizeBytes: number;
  readonly device: DeviceKind;
  readonly ranks: number;
  readonly telemetry: DemoTelemetry | null;
  /** The module of the command line. */
  readonly commandLine: string;
  /** The user's own. */
  readonly flags: readonly string[];
}

/**
 * Spawns `pegaflow-lifecycle engine`. It is in a process group of its own, so that a terminal's Ctrl-C does not reach
 * it, and has a channel to this process, by whose end it ends.
 */
export function spawnEngine(options: EngineOptions, log: ServerLog): ServerProcess {
  const { port, poolSizeBytes, device, ranks, telemetry, commandLine } = options;
  const flags = [
    '--addr',
    `127.0.0.1:${port}`,
    ...engineFlagsOf(telemetry, ranks),
    '--pool-size',
    `${poolSizeBytes}`,
    '--device',
    device,
    '--log-level',
    'warn',
    ...options.flags,
  ];
  log.begin();
  const child = spawn(process.execPath, [commandLine, 'engine', ...flags], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const exited = exitOf(child);
  return {
    pid: child.pid ?? -1,
    listening: listeningOf(child, exited, log),
    exited,
    kill: (signal) => child.kill(signal),
  };
}

async function listeningOf(child: ChildProcess, exited: Promise<string>, log: ServerLog): Promise<Listening> {
  const allSaid = log.read(child.stderr);
  const line = new Promise<Listening>((resolve, reject) => {
    if (child.stdout === null) return;
    tellListening(child.stdout, resolve).catch((error: unknown) => {
      reject(new RunError(`the engine wrote what cannot be read: ${errorText(error)}`));
    });
  });
  const ended = exited.then(async (how) => {
    await allSaid;
    throw new RunError(`the engine did not start (${how}): ${log.lastWords}`);
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
