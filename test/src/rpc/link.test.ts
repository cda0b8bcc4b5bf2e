import { spawn } from 'node:child_process';
import dns, { type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import http2, {
  type ClientHttp2Session,
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ConnectError } from '@connectrpc/connect';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Link, type LinkEnd, NotSentError } from '../../../src/rpc/link.ts';
import { stallEventLoop } from '../../support/stall-event-loop.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { eventually, within } from '../../support/within.ts';

const actualConnect = http2.connect;

const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
/** Of the connection, by one byte. */
const WINDOW_UPDATE = Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

class Watched {
  readonly facts: string[] = [];
  readonly link: Link;
  readonly #up = Promise.withResolvers<void>();
  readonly #draining = Promise.withResolvers<void>();
  readonly #down = Promise.withResolvers<LinkEnd>();

  constructor(
    port: number,
    { host = '127.0.0.1', pingIntervalMs = 60_000, pingTimeoutMs = 60_000, onUp = () => {} } = {},
  ) {
    this.link = new Link(
      { endpoint: `http://${host}:${port}`, pingIntervalMs, pingTimeoutMs },
      {
        up: () => {
          this.facts.push('up');
          onUp();
          this.#up.resolve();
        },
        draining: () => {
          this.facts.push('draining');
          this.#draining.resolve();
        },
        down: (end) => {
          this.facts.push(end.cause);
          this.#down.resolve(end);
        },
      },
    );
    closers.push(() => this.link.drop());
  }

  up = () => within(5_000, 'the link to be up', this.#up.promise);
  draining = () => within(5_000, 'the drain', this.#draining.promise);
  down = () => within(5_000, 'the end of the link', this.#down.promise);
}

async function http2Server(): Promise<{ server: Http2Server; port: number; session: Promise<ServerHttp2Session> }> {
  const server = createHttp2Server();
  const session = once(server, 'session').then(([session]) => session as ServerHttp2Session);
  server.on('session', (session) => session.on('error', () => {}));
  const port = await listen(server);
  return { server, port, session };
}

/** Lets every name have these addresses until the test has ended. */
function named(...addresses: readonly string[]): void {
  const found = addresses.map((address): LookupAddress => ({ address, family: 4 }));
  const answer = (_: string, __: object, done: (error: null, found: LookupAddress[]) => void) => done(null, found);
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(answer as unknown as typeof dns.lookup);
  closers.push(() => spy.mockRestore());
}

async function tcpServer(onSocket: (socket: Socket) => void): Promise<number> {
  return listen(createServer(onSocket));
}

/** Another port for the server at `port`, whose answers take `delayMs` to arrive. */
async function farAway(port: number, delayMs: number): Promise<number> {
  return tcpServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far);
    far.on('data', (bytes) => void setTimeout(() => near.write(bytes), delayMs));
    for (const socket of [near, far]) socket.on('error', () => {});
  });
}

async function listen(server: Server | Http2Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('Link', () => {
  it('is up when the peer’s SETTINGS arrived, not when TCP is connected', async () => {
    const accepted = Promise.withResolvers<Socket>();
    const port = await tcpServer((socket) => accepted.resolve(socket));
    const watched = new Watched(port);
    const socket = await accepted.promise;
    await once(socket, 'data');
    expect(watched.facts).toEqual([]);
    expect(watched.link.isUp).toBe(false);
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    await watched.up();
    expect(watched.link.isUp).toBe(true);
  });

  it('tells a refused dial', async () => {
    const port = await tcpServer(() => {});
    await closers.pop()?.();
    const watched = new Watched(port);
    expect((await watched.down()).cause).toBe('refused');
    expect(watched.facts).toEqual(['refused']);
  });

  it('tells of a name with several addresses what each of them said, and a refusal only where all refused', async () => {
    const port = await tcpServer(() => {});
    await closers.pop()?.();
    named('127.0.0.2', '127.0.0.3');
    const refused = await new Watched(port, { host: 'several' }).down();
    expect(refused.cause).toBe('refused');
    expect(refused.fault.message).toContain(
      `connect ECONNREFUSED 127.0.0.2:${port}; connect ECONNREFUSED 127.0.0.3:${port}`,
    );
    // TCP knows no multicast: the kernel refuses the dial, and nothing leaves this host.
    named('224.0.0.1', '127.0.0.3');
    const mixed = await new Watched(port, { host: 'several.mixed' }).down();
    expect(mixed.cause).toBe('reset');
    expect(mixed.fault.message).toMatch(/ENETUNREACH 224\.0\.0\.1:.*; connect ECONNREFUSED 127\.0\.0\.3:/);
  });

  it('tells a name that has no address, which no server caused', async () => {
    const { down } = new Watched(1, { host: 'nowhere.invalid' });
    expect((await down()).cause).toBe('unresolved');
  });

  it('tells that its own process has no descriptor left, and what to do', async () => {
    const port = await tcpServer(() => {});
    await closers.pop()?.();
    const child = new URL('../../support/starved-dial.ts', import.meta.url).pathname;
    const starved = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, child, `http://127.0.0.1:${port}`];
    const starving = spawn('/bin/sh', starved, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [end] = (await within(20_000, 'the dial of a starved process', once(starving, 'message'))) as [LinkEnd];
    expect(end).toMatchObject({
      cause: 'local',
      fault: { kind: 'unreachable', message: expect.stringContaining('no file descriptor left: raise its limit') },
    });
    await once(starving, 'exit');
  });

  it('tells a peer that closed', async () => {
    const { port, server } = await http2Server();
    const connection = once(server, 'connection');
    const watched = new Watched(port);
    await watched.up();
    const [socket] = (await connection) as [Socket];
    socket.end();
    expect((await watched.down()).cause).toBe('closed');
    expect(watched.facts).toEqual(['up', 'closed']);
  });

  it('tells a reset', async () => {
    const sockets: Socket[] = [];
    const port = await tcpServer((socket) => sockets.push(socket));
    const watched = new Watched(port);
    const [socket] = await within(5_000, 'the connection', accepted(sockets));
    await once(socket!, 'data');
    socket!.resetAndDestroy();
    expect((await watched.down()).cause).toBe('reset');
  });

  it('tells GOAWAY while what is under way goes on', async () => {
    const { port, session, server } = await http2Server();
    server.on('stream', (stream) => stream.respond({ ':status': 200 }));
    const watched = new Watched(port);
    await watched.up();
    const stream = await watched.link.request('POST', '/pegaflow.Engine/Session', {});
    stream.on('error', () => {});
    await once(stream, 'response');
    const peer = await session;
    peer.once('goaway', () => watched.facts.push('goaway of ours'));
    peer.goaway();
    await watched.draining();
    expect(watched.link.isDraining).toBe(true);
    expect(stream.destroyed).toBe(false);
    await expect(watched.link.request('POST', '/', {})).rejects.toThrow();
    await new Promise((answered) => peer.ping(answered));
    expect(watched.facts).toEqual(['up', 'draining']);
    stream.destroy();
    peer.destroy();
    await watched.down();
    expect(watched.facts.slice(0, 2)).toEqual(['up', 'draining']);
  });

  it('tells garbage and an HTTP/2 error', async () => {
    const port = await tcpServer((socket) => socket.resume().end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect((await new Watched(port).down()).cause).toBe('protocolError');

    const { port: strict, session } = await http2Server();
    const watched = new Watched(strict);
    await watched.up();
    (await session).goaway(11);
    expect((await watched.down()).cause).toBe('protocolError');
  });

  it('S-49: takes a peer for living whose ping left only after a stall of our own', async () => {
    const { port, session } = await http2Server();
    const pingIntervalMs = 40;
    // Due right after the ping is begun, before its bytes are written.
    const onUp = () => void setTimeout(() => stallEventLoop(400), pingIntervalMs);
    const watched = new Watched(await farAway(port, 20), { pingIntervalMs, pingTimeoutMs: 80, onUp });
    const peer = await session;
    let pings = 0;
    peer.on('ping', () => {
      pings += 1;
    });
    await eventually('pings after the stall', () => (pings >= 2 || watched.link.end !== null ? true : null));
    expect(watched.facts).toEqual(['up']);
  });

  it('tells a peer that answers no ping, and no sooner than the ping timeout', async () => {
    const port = await tcpServer((socket) => socket.write(EMPTY_SETTINGS));
    const watched = new Watched(port, { pingIntervalMs: 20, pingTimeoutMs: 100 });
    await watched.up();
    const sinceMs = performance.now();
    expect((await watched.down()).cause).toBe('pingLost');
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(100);
  });

  it('takes a peer for living that answers no ping and sends other bytes, and for lost when those end', async () => {
    const sockets: Socket[] = [];
    const port = await tcpServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(EMPTY_SETTINGS);
    });
    const watched = new Watched(port, { pingIntervalMs: 10, pingTimeoutMs: 100 });
    await watched.up();
    let frames = 0;
    const traffic = setInterval(() => {
      frames += 1;
      sockets[0]!.write(WINDOW_UPDATE);
    }, 20);
    closers.push(() => clearInterval(traffic));
    // Node sends no more pings once ten are unanswered, after about a second.
    await eventually('more traffic than pings are sent in', () => (frames >= 100 ? true : null), 15_000);
    clearInterval(traffic);
    expect(watched.facts).toEqual(['up']);
    expect((await watched.down()).cause).toBe('pingLost');
  });

  it('finds a peer dead after its GOAWAY too, while a call is under way', async () => {
    const { port, session, server } = await http2Server();
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200 });
    });
    const proxy = await TcpProxy.start(`127.0.0.1:${port}`);
    closers.push(() => proxy[Symbol.asyncDispose]());
    const { hostname: host, port: proxyPort } = new URL(proxy.endpoint);
    const watched = new Watched(Number(proxyPort), { host, pingIntervalMs: 20, pingTimeoutMs: 500 });
    await watched.up();
    const call = await watched.link.request('POST', '/pegaflow.Engine/Session', {});
    await once(call, 'response');
    const peer = await session;
    peer.goaway(0);
    await watched.draining();
    await within(5_000, 'a question after the GOAWAY', once(peer, 'remoteSettings'));
    expect(watched.link.end).toBe(null);
    proxy.strand();
    expect((await watched.down()).cause).toBe('pingLost');
  });

  it('tells what a GOAWAY with an error says, and that it was for too many pings', async () => {
    const { port, session } = await http2Server();
    const watched = new Watched(port);
    await watched.up();
    (await session).goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'));
    const end = await watched.down();
    expect(end).toMatchObject({ cause: 'protocolError', isPingAbuse: true });
    expect(end.fault.message).toContain('HTTP/2 error 11 (too_many_pings)');
    const other = await http2Server();
    const second = new Watched(other.port);
    await second.up();
    (await other.session).goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('calm\u001b[31m'));
    const { fault, isPingAbuse } = await second.down();
    expect([fault.message.split('error ')[1], isPingAbuse]).toEqual(['11 (calm?[31m)', undefined]);
  });

  it('S-49: does not take its own stalled event loop for a dead peer', async () => {
    const { port, session } = await http2Server();
    const watched = new Watched(port, { pingIntervalMs: 10, pingTimeoutMs: 50 });
    await watched.up();
    for (let stall = 0; stall < 3; stall += 1) {
      await within(5_000, 'a ping', once(await session, 'ping'));
      stallEventLoop(200);
    }
    await within(5_000, 'one more ping', once(await session, 'ping'));
    expect(watched.facts).toEqual(['up']);
  });

  it('finds a dead peer although its own event loop is never quick', async () => {
    const port = await tcpServer((socket) => socket.write(EMPTY_SETTINGS));
    const watched = new Watched(port, { pingIntervalMs: 20, pingTimeoutMs: 100 });
    await watched.up();
    const deadlineMs = performance.now() + 4_000;
    while (watched.link.end === null && performance.now() < deadlineMs) {
      const untilMs = performance.now() + 150;
      while (performance.now() < untilMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(watched.link.end?.cause).toBe('pingLost');
  });

  it('a request that ends in the turn it was made in ends nothing else: nobody can listen to it yet', async () => {
    const { port } = await http2Server();
    const watched = new Watched(port);
    await watched.up();
    const requested = await within(
      5_000,
      'the turn',
      new Promise<ReturnType<Link['request']>>((resolve) => {
        setImmediate(() => {
          const request = watched.link.request('POST', '/pegaflow.Engine/Save', {});
          watched.link.drop();
          resolve(request);
        });
      }),
    );
    expect(requested).toMatchObject({ destroyed: true });
  });

  it('a connection whose stream ids are used up counts as draining: nothing more is sent on it', async () => {
    const sessions: ClientHttp2Session[] = [];
    const connectHttp2 = vi.spyOn(http2, 'connect').mockImplementation((...args: Parameters<typeof http2.connect>) => {
      sessions.push(actualConnect(...args));
      return sessions.at(-1)!;
    });
    syncBuiltinESMExports();
    const { port, server } = await http2Server();
    server.on('stream', (stream) => stream.respond({ ':status': 200 }));
    const watched = new Watched(port);
    connectHttp2.mockRestore();
    syncBuiltinESMExports();
    await watched.up();
    // Of Node since version 10, but not of its types.
    (sessions[0] as ClientHttp2Session & { setNextStreamID(id: number): void }).setNextStreamID(2 ** 31 - 1);
    const last = await watched.link.request('POST', '/pegaflow.Engine/Session', {});
    await once(last, 'response');
    await expect(watched.link.request('POST', '/pegaflow.Engine/Save', {})).rejects.toThrow(NotSentError);
    expect(watched.facts).toEqual(['up', 'draining']);
    expect(last.destroyed).toBe(false);
  });

  it('dropped by us, ends everything on it at once and says nothing more', async () => {
    const { port, server } = await http2Server();
    server.on('stream', (stream) => stream.on('error', () => {}));
    const watched = new Watched(port);
    await watched.up();
    const stream = await watched.link.request('POST', '/pegaflow.Engine/Save', {});
    const failed = new Promise((resolve) => stream.once('error', resolve));
    watched.link.drop();
    watched.link.drop();
    expect(await within(5_000, 'the stream to fail', failed)).toBeInstanceOf(ConnectError);
    expect(watched.facts).toEqual(['up', 'dropped']);
  });
});

async function accepted(sockets: readonly Socket[]): Promise<readonly Socket[]> {
  while (sockets.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return sockets;
}
