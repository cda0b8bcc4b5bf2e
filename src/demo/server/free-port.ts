import { createServer } from 'node:net';
import { RunError } from '../run-error.ts';
import { drawInteger } from '../workload/random.ts';

/**
 * Below the kernel's range for outgoing connections (`net.ipv4.ip_local_port_range`): a port from that range could be
 * taken by somebody's connection, even by our own dial of it, while the engine is down.
 */
const FIRST_PORT = 10_000;
const LAST_PORT = 32_000;
const ATTEMPTS = 100;

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = drawInteger(Math.random, FIRST_PORT, LAST_PORT);
    if ((await portComplaint(port)) === null) return port;
  }
  throw new RunError(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
}

/** Why nobody can listen on this port of the loopback interface now; `null`: it is free. */
export function portComplaint(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      resolve(code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on: ${message}`);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}
