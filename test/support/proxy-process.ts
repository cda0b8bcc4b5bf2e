import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { atEnd } from './own.ts';
import type { ServerProcess } from './server-process.ts';
import { within } from './within.ts';

/** A proxy of this host before the server, that can be killed while the server lives. */
export async function startProxyProcess(server: ServerProcess) {
  const child = fork(fileURLToPath(new URL('proxy-child.ts', import.meta.url)), [server.grpcAddress]);
  const exited = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  atEnd(kill);
  const [{ endpoint }] = (await within(15_000, 'the proxy', once(child, 'message'))) as [{ endpoint: string }];
  return { endpoint, pid: child.pid!, kill };
}
