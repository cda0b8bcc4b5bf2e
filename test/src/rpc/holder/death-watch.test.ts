import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../../machines/index.ts';
import { createEmulatedDriver } from '../../../../native-bindings/index.ts';
import { memoryOf } from '../../../../src/connector/kv-caches.ts';
import { Connection, type ConnectionEvents } from '../../../../src/rpc/connection.ts';
import { DeathWatch, type ProofOfDeath } from '../../../../src/rpc/holder/death-watch.ts';
import { holdersOf, holdsMemory, ticksNow } from '../../../../src/rpc/holder/memory-holder.ts';
import { acceptedInode, isSocketThere, listeningInodes, pidOfSocket } from '../../../../src/rpc/holder/socket-owner.ts';
import { Link } from '../../../../src/rpc/link.ts';
import { TestConnection, TestRank } from '../../../support/engine-rank.ts';
import { atEnd, own } from '../../../support/own.ts';
import { startProxyProcess } from '../../../support/proxy-process.ts';
import { endpointOf, kill, startEngine } from '../../../support/story.ts';
import { layersOf } from '../../../support/test-instance.ts';
import { eventually, within } from '../../../support/within.ts';

/** A connection with one transfer on it that waits for the server's death. */
async function watching(endpoint: string) {
  const connection = own(new Connection({ endpoint, budgets: budgetsFrom() }));
  const quiet: ConnectionEvents = { up: () => {}, draining: () => {}, down: () => {} };
  const dial = () => {
    const answered = Promise.withResolvers<string>();
    connection.open({
      ...quiet,
      up: () => answered.resolve('up'),
      down: ({ cause }) => answered.resolve(cause),
    });
    return within(5_000, 'the dial', answered.promise);
  };
  expect(await dial()).toBe('up');
  const { server } = connection;
  const proofs: ProofOfDeath[] = [];
  const watch = () => atEnd(server.watch({ lost: () => {}, dead: (proof) => proofs.push(proof) }));
  const proof = () => eventually('a proof of death', () => proofs[0] ?? null, 15_000);
  return { connection, server, proofs, watch, dial, proof };
}

/** The same, after a registration on this link whose memory the server behind it holds. */
async function registered(endpoint: string) {
  const watched = await watching(endpoint);
  const { connection, server } = watched;
  const rank = own(new TestRank(own(new TestConnection(endpoint)).client, createEmulatedDriver()));
  const memory = memoryOf(rank.deviceId, layersOf(rank));
  const search = connection.beginRegistration(memory);
  await server.call((client) => client.registerContextBatch(rank.registration()));
  search.answered();
  await server.identify();
  watched.watch();
  const looked = () => eventually('a look for the holder', () => connection.proof, 15_000);
  return { ...watched, memory, search, looked };
}

describe('socket owner', () => {
  it('finds the process at the accepted end of a connection, and nobody for one that is not there', async () => {
    const engine = await startEngine();
    const { server } = await watching(endpointOf(engine));
    const ends = server.link.addresses!;
    const inode = await acceptedInode(ends);
    expect(inode).toMatch(/^\d+$/);
    expect(await pidOfSocket(inode!, null)).toBe(engine.pid);
    expect(await pidOfSocket(inode!, engine.pid)).toBe(engine.pid);
    expect(await listeningInodes(ends.remotePort)).toHaveLength(1);
    expect(await isSocketThere(inode!)).toBe(true);
    server.drop();
    await eventually('the end of the accepted socket', async () => ((await isSocketThere(inode!)) ? null : true));
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

describe('memory holder', () => {
  it('is the process that maps the memory, as long as it does, and never the one that owns it', async () => {
    const engine = await startEngine();
    const sinceTicks = ticksNow();
    const { server, memory } = await registered(endpointOf(engine));
    const time = { sinceTicks, untilTicks: ticksNow() };
    const ofSomebodyElse = { ...memory, segments: ['pegaflow_dev_of_somebody_else'] };
    expect(await holdsMemory(engine.pid, memory, time)).toBe(true);
    expect(await holdsMemory(process.pid, memory, time)).toBe(false);
    expect(await holdersOf(memory, time)).toEqual([engine.pid]);
    expect(await holdsMemory(engine.pid, ofSomebodyElse, time)).toBe(false);
    expect(await holdsMemory(engine.pid, { deviceId: null, segments: [] }, time)).toBe(true);
    await engine.http('POST', '/instances/cleanup');
    await eventually('the memory to be let go', async () =>
      (await holdsMemory(engine.pid, memory, time)) ? null : true,
    );
    server.drop();
  });
});

describe('proof of death', () => {
  it('is strong when the process that holds our memory is gone', async () => {
    const engine = await startEngine();
    const { connection, looked, proof } = await registered(endpointOf(engine));
    expect(await looked()).toEqual({ kind: 'process', pids: [engine.pid] });
    expect(connection.server.death.pid).toBe(engine.pid);
    await kill(engine);
    expect(await proof()).toBe('strong');
  });

  it('is not the end of a proxy, which is the end of the connection and of the listening socket, but that of the server behind it', async () => {
    const engine = await startEngine();
    const proxy = await startProxyProcess(engine);
    const { dial, looked, proof, proofs, server } = await registered(proxy.endpoint);
    expect(await pidOfSocket((await acceptedInode(server.link.addresses!))!, null)).toBe(proxy.pid);
    expect(await looked()).toEqual({ kind: 'process', pids: [engine.pid] });
    await proxy.kill();
    await eventually('the end of the link', () => server.link.end);
    expect(await dial()).toBe('refused');
    await neverProved(proofs);
    await kill(engine);
    expect(await proof()).toBe('strong');
  });

  it('is not given for a close alone while the server lives', async () => {
    const engine = await startEngine();
    const { server, proofs, dial, looked, proof } = await registered(endpointOf(engine));
    await looked();
    server.drop();
    expect(await dial()).toBe('up');
    engine.signal('SIGSTOP');
    engine.signal('SIGCONT');
    await neverProved(proofs);
    await kill(engine);
    expect(await proof()).toBe('strong');
  });

  it('comes for a link that ended before anybody had looked, as when the server drains at once', async () => {
    const engine = await startEngine();
    const { connection, dial, server, watch, proof } = await watching(endpointOf(engine));
    const rank = own(new TestRank(own(new TestConnection(endpointOf(engine))).client, createEmulatedDriver()));
    const search = connection.beginRegistration(memoryOf(rank.deviceId, layersOf(rank)));
    await rank.register();
    search.answered();
    watch();
    server.drop();
    void search.lookFor(server.death, null);
    expect(await dial()).toBe('up');
    expect(await eventually('the holder', () => server.death.pid)).toBe(engine.pid);
    await kill(engine);
    expect(await proof()).toBe('strong');
  });

  it('is known to a second link of the same registration without another look, whoever accepted it', async () => {
    const engine = await startEngine();
    const { connection, dial, looked } = await registered(endpointOf(engine));
    await looked();
    expect(await dial()).toBe('up');
    const { server } = connection;
    atEnd(server.watch({ lost: () => {}, dead: () => {} }));
    expect(server.death.pid).toBe(engine.pid);
  });

  it('of whoever held the registration before says nothing of the next one on the same link', async () => {
    const [before, now] = [await startEngine(), await startEngine()];
    const { connection, server } = await watching(endpointOf(now));
    const registerAt = async (endpoint: string) => {
      const rank = own(new TestRank(own(new TestConnection(endpoint)).client, createEmulatedDriver()));
      connection.beginRegistration(memoryOf(rank.deviceId, layersOf(rank)));
      await rank.register();
      await server.identify();
      const proofs: ProofOfDeath[] = [];
      atEnd(server.watch({ lost: () => {}, dead: (proof) => proofs.push(proof) }));
      return proofs;
    };
    // Behind a proxy that deals out calls, each may reach another server.
    const ofBefore = await registerAt(endpointOf(before));
    expect(connection.holders).toEqual([before.pid]);
    await kill(before);
    await eventually('the proof', () => ofBefore[0] ?? null);
    const ofNow = await registerAt(endpointOf(now));
    expect(connection.holders).toEqual([now.pid]);
    await neverProved(ofNow);
    await kill(now);
    expect(await eventually('the proof', () => ofNow[0] ?? null)).toBe('strong');
  });

  it('S-84: is not that of a stranger whose copy threads began after our own Register, when ours is not seen', async () => {
    const ours = await startEngine();
    const { connection, server, proofs, watch } = await watching(endpointOf(ours));
    // Nothing is registered there: its threads are as little to be seen as those in another PID namespace.
    const search = connection.beginRegistration({ deviceId: 0, segments: [] });
    search.answered();
    await server.identify();
    watch();
    const stranger = await startEngine();
    await own(new TestRank(own(new TestConnection(endpointOf(stranger))).client, createEmulatedDriver())).register();
    server.drop();
    await search.lookFor(server.death, null);
    expect(server.death.holder).toBe(null);
    await kill(stranger);
    await neverProved(proofs);
  });

  it('is none where the process at the other end is seen and holds nothing of ours, whatever its sockets do', async () => {
    const { endpoint, stop } = await ownServer();
    const connection = own(new Connection({ endpoint, budgets: budgetsFrom({ settleMs: 1 }), isDirect: true }));
    const up = Promise.withResolvers<void>();
    connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
    await within(5_000, 'the link', up.promise);
    connection.beginRegistration({ deviceId: 0, segments: ['pegaflow_dev_nobody_maps_this'] });
    const { server } = connection;
    const proofs: ProofOfDeath[] = [];
    atEnd(server.watch({ lost: () => {}, dead: (proof) => proofs.push(proof) }));
    expect(await eventually('a look', () => connection.proof)).toEqual({ kind: 'none', reason: 'proxy' });
    await stop();
    await eventually('the end of the link', () => server.link.end);
    await neverProved(proofs);
  });
});

describe('proof of death by sockets, where no process can be seen', () => {
  it('comes when the listening socket and the accepted one are both gone, after the settling time', async () => {
    const { ends, stop } = await dialed();
    const { watch, proofs, proof } = unseen({ settleMs: 50, isDirect: true });
    await watch.observeSockets(ends);
    await stop();
    expect(proofs).toEqual([]);
    watch.observeClose();
    expect(await proof()).toBe('weak');
    expect(proofs).toHaveLength(1);
  });

  it('does not come while one of the two is there', async () => {
    const { ends, closeConnections, stop } = await dialed();
    const { watch, proofs, proof } = unseen({ settleMs: 1, isDirect: true });
    await watch.observeSockets(ends);
    closeConnections();
    watch.observeClose();
    watch.look();
    await neverProved(proofs);
    await stop();
    watch.look();
    expect(await proof()).toBe('weak');
  });

  it('does not come unless the host has declared that nothing stands between', async () => {
    const { ends, stop } = await dialed();
    const { watch, proofs } = unseen({ settleMs: 1, isDirect: false });
    await watch.observeSockets(ends);
    await stop();
    watch.observeClose();
    watch.look();
    await neverProved(proofs);
  });

  it('does not come from a link that we ended, or whose end had been announced', async () => {
    const { ends, stop } = await dialed();
    const { watch, proofs } = unseen({ settleMs: 1, isDirect: true });
    await watch.observeSockets(ends);
    await stop();
    watch.retire();
    watch.look();
    await neverProved(proofs);
  });

  it('does not come from a socket that was never seen', async () => {
    const { watch, proofs } = unseen({ settleMs: 1, isDirect: true });
    watch.observeClose();
    watch.look();
    await neverProved(proofs);
  });
});

/** A watch over a server whose process cannot be seen. */
function unseen(options: ConstructorParameters<typeof DeathWatch>[0]) {
  const proofs: ProofOfDeath[] = [];
  const watch = own(new DeathWatch(options));
  watch.watch((proof) => proofs.push(proof));
  watch.learn('notVisible');
  return { watch, proofs, proof: () => eventually('a proof of death', () => proofs[0] ?? null) };
}

const neverProved = (proofs: readonly ProofOfDeath[]) =>
  expect(eventually('a proof', () => proofs[0] ?? null, 300)).rejects.toThrow('waited');

/** A link to a server in this process, with the ends of its connection. */
async function dialed() {
  const server = await ownServer();
  const up = Promise.withResolvers<void>();
  const link = new Link(
    { endpoint: server.endpoint, pingIntervalMs: 1_000, pingTimeoutMs: 1_000 },
    { up: up.resolve, draining: () => {}, down: () => {} },
  );
  atEnd(() => link.drop());
  await within(5_000, 'the link', up.promise);
  return { ...server, link, ends: link.addresses! };
}

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
