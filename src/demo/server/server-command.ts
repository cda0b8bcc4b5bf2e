/** A server of the user's as a child process: started on ports of the run's, killed or drained, started again. */
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from '../deadline.ts';
import { exitOf } from '../hosts/ipc.ts';
import { RunError } from '../run-error.ts';
import type { FromServerHost, ToServerHost } from './server-host-messages.ts';
import type { ServerLog } from './server-log.ts';
import type { Listening, ServerProcess } from './server-process.ts';

export interface ServerCommand {
  readonly path: string;
  /** The user's own. */
  readonly flags: readonly string[];
  readonly port: number;
  readonly httpPort: number;
  readonly poolSizeBytes: number;
  /** Environment besides that of this process. Default none. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How long the last lines of a server that has ended may take to arrive, in milliseconds. */
const OUTPUT_TIMEOUT_MS = 1_000;

/** Flags of pegaflow-server that a run sets. */
function flagsOf({ flags, port, httpPort, poolSizeBytes }: ServerCommand): string[] {
  const own = [
    '--addr',
    `127.0.0.1:${port}`,
    '--http-addr',
    `127.0.0.1:${httpPort}`,
    '--pool-size',
    `${poolSizeBytes}`,
  ];
  return [...own, ...flags];
}

/** Starts the command below a host that takes it along however this process ends. */
export function spawnServer(command: ServerCommand, log: ServerLog): ServerProcess {
  const hostPath = fileURLToPath(new URL(`server-host${extname(import.meta.url)}`, import.meta.url));
  const host = fork(hostPath, {
    execArgv: [],
    detached: true,
    env: { ...process.env, ...command.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  log.begin();
  const written = Promise.all([log.read(host.stdout), log.read(host.stderr)]);
  const listening = Promise.withResolvers<Listening>();
  let serverPid: number | null = null;
  let howEnded: string | null = null;
  host.on('message', (message) => {
    const told = message as FromServerHost;
    if (told.type === 'ended') howEnded = told.how;
    else {
      serverPid = told.pid;
      listening.resolve({ pid: told.pid, atMs: told.atMs });
    }
  });
  const exited = exitOf(host).then(async (how) => {
    if (howEnded === null && serverPid !== null) kill(serverPid, 'SIGKILL');
    await within(OUTPUT_TIMEOUT_MS, written, undefined);
    const words = howEnded ?? how;
    listening.reject(
      new RunError(`the server did not start (${words})${log.lastWords === '' ? '' : `: ${log.lastWords}`}`),
    );
    return words;
  });
  listening.promise.catch(() => {});
  const start: ToServerHost = { path: command.path, flags: flagsOf(command), port: command.port };
  host.send(start);
  return {
    pid: host.pid ?? -1,
    listening: listening.promise,
    exited,
    kill: (signal) => {
      // Before anybody listens there is nobody to stop but the whole group, which ends with its host.
      if (serverPid === null) host.disconnect();
      else kill(serverPid, signal);
    },
  };
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}
