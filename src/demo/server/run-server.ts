/** The server of a run, ready to be started at ports of the run's. */
import { ServerConnection } from '../../check/rank.ts';
import { errorText } from '../../error-text.ts';
import type { DemoOptions } from '../options.ts';
import type { RunServer } from '../processes.ts';
import { engineMetricsPort } from '../telemetry.ts';
import { spawnEngine } from './engine-process.ts';
import { freePort } from './free-port.ts';
import type { OwnServer } from './served-by.ts';
import { spawnServer } from './server-command.ts';
import type { ServerLog } from './server-log.ts';

/** How long a server that listens may take to answer, in milliseconds. */
const ANSWER_TIMEOUT_MS = 10_000;

export type ServerOfRun = RunServer & { readonly port: number };

export async function serverOf(own: OwnServer, options: DemoOptions, log: ServerLog): Promise<ServerOfRun> {
  const { poolSizeBytes, device, ranks, telemetry, commandLine } = options;
  const port = await freePort();
  const { flags } = own;
  if (own.kind === 'engine') {
    const start = () => spawnEngine({ port, poolSizeBytes, device, ranks, telemetry, commandLine, flags }, log);
    return { name: 'engine', port, log, start, answers: async () => null };
  }
  const { path } = own;
  const httpPort = engineMetricsPort(telemetry, ranks) ?? (await freePort());
  return {
    name: 'server',
    port,
    log,
    start: () => spawnServer({ path, flags, port, httpPort, poolSizeBytes }, log),
    answers: async () => {
      const complaint = await healthComplaint(`http://127.0.0.1:${port}`);
      return complaint === null ? null : `${path} listens, but is no pegaflow-server: ${complaint}`;
    },
  };
}

/** Why the Health call fails there; `null` where it is answered. */
export async function healthComplaint(endpoint: string): Promise<string | null> {
  const connection = new ServerConnection(endpoint);
  try {
    await connection.client.health({}, { timeoutMs: ANSWER_TIMEOUT_MS });
    return null;
  } catch (error) {
    return errorText(error);
  } finally {
    connection[Symbol.dispose]();
  }
}
