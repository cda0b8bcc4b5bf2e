import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import { Connection, type ConnectionEvents, type ServerLink } from '../../../src/rpc/connection.ts';
import { DeathWatch, type ProofOfDeath } from '../../../src/rpc/death-watch.ts';
import { Link } from '../../../src/rpc/link.ts';
import { acceptedInode, listeningInodes, pidOfSocket } from '../../../src/rpc/socket-owner.ts';
import { atEnd, own } from '../../support/own.ts';
import { stallEventLoop } from '../../support/stall-event-loop.ts';
import { startEngine } from '../../support/story.ts';
import { eventually, within } from '../../support/within.ts';

/** A connection with one transfer on it that waits for the server's death. */
async function watching(endpoint: string, settleMs = 50) {
  const connection = own(new Connection({ endpoint, budgets: budgetsFrom({ settleMs }) }));
  const up = Promise.withResolvers<void>();
  const down = Promise.withResolvers<void>();
  const quiet: ConnectionEvents = { up: () => {}, draining: () => {}, down: () => {} };
  connection.open({ ...quiet, up: up.resolve, down: () => down.resolve() });
  await within(5_000, 'the link', up.promise);
  const { server } = connection;
  const proofs: ProofOfDeath[] = [];
  const unwatch = server.watch({ lost: () => {}, dead: (proof) => proofs.push(proof) });
  atEnd(unwatch);
  const redial = () => {
    const answered = Promise.withResolvers<string>();
    connection.open({
      ...quiet,
      up: () => answered.resolve('up'),
      down: ({ cause }) => answered.resolve(cause),
    });
    return within(5_000, 'the dial', answered.promise);
  };
  const proof = () => eventually('a proof of death', () => proofs[0] ?? null);
  return { connection, server, proofs, redial, proof, down: () => within(5_000, 'the end', down.promise) };
}

describe('socket owner', () => {
  it('finds the process at the accepted end of a connection, and nobody for one that is not there', async () => {
    const engine = await startEngine();
    const { server } = await watching(`http://${engine.grpcAddress}`);
    const ends = server.link.addresses!;
    const inode = await acceptedInode(ends);
    expect(inode).toMatch(/^\d+$/);
    expect(await pidOfSocket(inode!, null)).toBe(engine.pid);
    expect(await pidOfSocket(inode!, engine.pid)).toBe(engine.pid);
    expect(await listeningInodes(ends.remotePort)).toHaveLength(1);
    expect(await acceptedInode({ ...ends, localPort: 1 })).toBe(null);
    expect(await pidOfSocket('0', null)).toBe(null);
  });

  it('finds it over IPv6 and over IPv4 on a socket of both', async () => {
    const server = createServer();
    server.listen(0, '::');
    await once(server, 'listening');
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as { port: number };
    for (const host of ['[::1]', '127.0.0.1']) {
      const connection = once(server, 'connection');
      const link = new Link(
        { endpoint: `http://${host}:${port}`, pingIntervalMs: 1_000, pingTimeoutMs: 1_000 },
        { up: () => {}, draining: () => {}, down: () => {} },
      );
      atEnd(() => link.drop());
      const [socket] = (await connection) as [Socket];
      socket.on('error', () => {});
      atEnd(() => socket.destroy());
      const ends = await eventually('the addresses', () => link.addresses);
      const inode = await acceptedInode(ends);
      expect(await pidOfSocket(inode!, null)).toBe(process.pid);
    }
  });
});

describe('proof of death', () => {
  it('is strong when the process that owned the connection is gone', async () => {
    const engine = await startEngine();
    const { server, proof } = await watching(`http://${engine.grpcAddress}`, 60_000);
    expect(await identified(server)).toBe(engine.pid);
    engine.signal('SIGKILL');
    expect(await proof()).toBe('strong');
  });

  it('is not given for a close alone while the server lives', async () => {
    const engine = await startEngine();
    const endpoint = `http://${engine.grpcAddress}`;
    const { server, proofs, redial } = await watching(endpoint);
    await identified(server);
    server.drop();
    expect(await redial()).toBe('up');
    const other = await watching(endpoint);
    engine.signal('SIGSTOP');
    other.server.drop();
    engine.signal('SIGCONT');
    expect(await redial()).toBe('up');
    expect([...proofs, ...other.proofs]).toEqual([]);
    engine.signal('SIGKILL');
    await engine.exited;
    expect(await eventually('the proof after all', () => proofs[0] ?? null)).toBe('strong');
  });

  it('is weak where no process can be seen: the connection closed, then nobody listened, then the settling time passed', async () => {
    const { watch, proofs, proof } = unseen(50);
    watch.observeRefusal();
    watch.observeClose();
    expect(proofs).toEqual([]);
    watch.observeRefusal();
    expect(proofs).toEqual([]);
    watch.observeRefusal();
    expect(await proof()).toBe('weak');
    expect(proofs).toHaveLength(1);
  });

  it('is not weak while the process that owned the connection is seen to live', async () => {
    const { endpoint, closeConnections, stop } = await ownServer();
    const { server, down, redial, proofs } = await watching(endpoint, 1);
    await identified(server);
    closeConnections();
    await down();
    await stop();
    expect(await redial()).toBe('refused');
    await expect(eventually('a proof', () => proofs[0] ?? null, 200)).rejects.toThrow('waited');
  });

  it('is not taken from a refusal when we closed the connection ourselves', async () => {
    const { endpoint, stop } = await ownServer();
    const { server, redial, proofs } = await watching(endpoint, 1);
    server.drop();
    await stop();
    expect(await redial()).toBe('refused');
    await expect(eventually('a proof', () => proofs[0] ?? null, 200)).rejects.toThrow('waited');
  });

  it('is called off when the same socket turns out to be listening still', async () => {
    const { endpoint } = await ownServer();
    const { watch, proofs } = unseen(100);
    await watch.observePort(Number(new URL(endpoint).port));
    watch.observeClose();
    watch.observeRefusal();
    watch.observeListeners(watch.listeners);
    await expect(eventually('a proof', () => proofs[0] ?? null, 300)).rejects.toThrow('waited');
  });

  it('is weak when another socket listens at the address and the first one is gone', async () => {
    const { endpoint, stop } = await ownServer();
    const { watch, proof } = unseen(50);
    await watch.observePort(Number(new URL(endpoint).port));
    watch.observeClose();
    await stop();
    watch.observeListeners(['another']);
    expect(await proof()).toBe('weak');
  });

  it('a refusal after which nobody looked, because this process was stalled, is no proof while the same socket listens', async () => {
    const { endpoint, stop } = await ownServer();
    const { watch, proofs, proof } = unseen(20);
    await watch.observePort(Number(new URL(endpoint).port));
    watch.observeClose();
    watch.observeRefusal();
    stallEventLoop(200);
    await expect(eventually('a proof', () => proofs[0] ?? null, 300)).rejects.toThrow('waited');
    await stop();
    watch.observeRefusal();
    expect(await proof()).toBe('weak');
  });

  it('comes from the process that holds the accepted end, never from the one that listens at the port', async () => {
    const holder = fork(fileURLToPath(new URL('../../support/connection-holder.ts', import.meta.url)));
    const exited = once(holder, 'exit');
    atEnd(async () => {
      holder.kill('SIGKILL');
      await exited;
    });
    await within(10_000, 'the holder', once(holder, 'message'));
    const listener = createServer({ pauseOnConnect: true }, (socket) => holder.send('connection', socket));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    // Its end is told only when the holder has said so of its connections, which it does not live to do.
    atEnd(() => void listener.close());
    const { port } = listener.address() as AddressInfo;
    const { server, proof } = await watching(`http://127.0.0.1:${port}`, 60_000);
    expect(await identified(server)).toBe(holder.pid);
    holder.kill('SIGKILL');
    expect(await proof()).toBe('strong');
    expect(listener.listening).toBe(true);
  });
});

/** A watch over a server whose process cannot be seen. */
function unseen(settleMs: number) {
  const proofs: ProofOfDeath[] = [];
  const watch = new DeathWatch(settleMs);
  watch.watch((proof) => proofs.push(proof));
  own(watch);
  return { watch, proofs, proof: () => eventually('a proof of death', () => proofs[0] ?? null) };
}

const identified = (server: ServerLink) => eventually('the process behind the link', () => server.death.pid);

/** An HTTP/2 server in this process, which lives on when the server is gone. */
async function ownServer() {
  const server = createHttp2Server();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('session', (session) => session.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const closeConnections = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const stop = async () => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    closeConnections();
    await closed;
  };
  atEnd(stop);
  return { endpoint: `http://127.0.0.1:${port}`, closeConnections, stop };
}
