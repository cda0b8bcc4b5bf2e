import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { hasCode } from '../../native-bindings/system-call-error.ts';

/** Below those from which Linux takes the ports of outgoing connections, one of which would keep a server from returning. */
const [FIRST, LAST] = [12_000, 32_000];

/** A port of `host` that nobody listens on; of a host that is not this one, any. */
export async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST);
    if (await canListen(host, port)) return port;
  }
}

async function canListen(host: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    return hasCode(error, 'EADDRNOTAVAIL');
  }
  server.close();
  await once(server, 'close');
  return true;
}
