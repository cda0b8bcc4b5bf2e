import { createServer } from 'node:net';

/**
 * Takes a name that one holder in this network namespace can have at a time, until it is disposed of or its process ends: an
 * abstract unix socket, which leaves nothing behind. `null`: somebody has it. Rejects where there are no such names.
 */
export async function holdName(name: string): Promise<Disposable | null> {
  if (process.platform !== 'linux') throw new Error('abstract unix sockets are of Linux alone');
  const { promise, resolve, reject } = Promise.withResolvers<Disposable | null>();
  const socket = createServer((stranger) => stranger.destroy()).unref();
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') resolve(null);
    else reject(error);
  });
  // Never that of the primary where this is a worker of a cluster.
  socket.listen({ path: `\0${name}`, exclusive: true }, () => resolve({ [Symbol.dispose]: () => socket.close() }));
  return promise;
}
