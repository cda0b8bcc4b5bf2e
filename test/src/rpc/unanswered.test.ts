import { constants, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import { Loads } from '../../../src/connector/transfers/loads.ts';
import { Transfer } from '../../../src/connector/transfers/transfer.ts';
import { Connection } from '../../../src/rpc/connection.ts';
import { RpcError } from '../../../src/rpc/rpc-error.ts';
import { atEnd, own } from '../../support/own.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { TransferRecord } from '../../support/transfer-record.ts';
import { eventually, within } from '../../support/within.ts';

type Treatment = (stream: ServerHttp2Stream, sockets: ReadonlySet<Socket>) => void;

/** A server that does to each call what `treat` says, instead of answering it. */
async function server(treat: Treatment): Promise<string> {
  const server: Http2Server = createServer();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume();
    stream.on('end', () => treat(stream, sockets));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function connect(endpoint: string): Promise<Connection> {
  const connection = own(new Connection({ endpoint, budgets: budgetsFrom() }));
  const up = Promise.withResolvers<void>();
  connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
  await within(5_000, 'the link', up.promise);
  return connection;
}

const refusingWith = (code: number) => (stream: ServerHttp2Stream) =>
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': `${code}`, 'grpc-message': 'no' },
    { endStream: true },
  );
const refusing = refusingWith(13);

/** What a proxy says in its own name: no gRPC status came. */
const proxysWord: readonly (readonly [string, Treatment])[] = [
  ...[400, 401, 403, 404, 429, 502, 503].flatMap((status) => [
    [
      `HTTP ${status}`,
      (stream: ServerHttp2Stream) => stream.respond({ ':status': status }, { endStream: true }),
    ] as const,
    [
      `HTTP ${status} with a page`,
      (stream: ServerHttp2Stream) => {
        stream.respond({ ':status': status, 'content-type': 'text/html' });
        stream.end('<html>'.repeat(20_000));
      },
    ] as const,
  ]),
  [
    'HTTP 200 with a page',
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html' });
      stream.end('hi');
    },
  ],
  [
    'headers of gRPC alone, without a status',
    (stream) => stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { endStream: true }),
  ],
  [
    'a message without a status',
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.end(Buffer.alloc(5));
    },
  ],
  [
    'HTTP 502 whose headers promise success',
    (stream) =>
      stream.respond(
        { ':status': 502, 'content-type': 'application/grpc', 'grpc-status': '0', 'grpc-message': 'no' },
        { endStream: true },
      ),
  ],
];

const unanswered: readonly (readonly [string, Treatment])[] = [
  ...proxysWord,
  ['a stream reset with CANCEL', (stream) => stream.close(constants.NGHTTP2_CANCEL)],
  ['a stream reset with INTERNAL_ERROR', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
  [
    'garbage on the connection',
    (_, sockets) => {
      for (const socket of sockets) socket.write(Buffer.alloc(64, 0xff));
    },
  ],
  ['a closed connection', (stream) => stream.session?.destroy()],
  ['CANCELLED, which any proxy may say,', refusingWith(1)],
  ['UNKNOWN, which any proxy may say,', refusingWith(2)],
  ['DEADLINE_EXCEEDED, which any proxy may say,', refusingWith(4)],
  ['UNAVAILABLE, which any proxy may say,', refusingWith(14)],
];

describe('a call without an answer', () => {
  it.each(unanswered)('%s is no answer: a save stays under way', async (_, treat) => {
    const connection = await connect(await server(treat));
    const record = new TransferRecord();
    const subject = { kind: 'save', requestId: 'a', blockIds: [0] } as const;
    const transfer = new Transfer(subject, connection.server, budgetsFrom(), record.events, () => {});
    atEnd(() => transfer.abandon({ kind: 'unreachable', message: 'the test is over' }));
    const error = await connection.server.call((client) => client.save({})).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RpcError);
    expect((error as RpcError).isFinal).toBe(false);
    transfer.rpcFailed(error);
    expect(record.outcomes).toEqual([]);
    expect(record.said).toContain('inDoubt');
  });

  it.each(proxysWord)('%s is no word of the server: nobody answered, and no stream stays open', async (_, treat) => {
    let open = 0;
    const connection = await connect(
      await server((stream, sockets) => {
        open += 1;
        stream.once('close', () => {
          open -= 1;
        });
        treat(stream, sockets);
      }),
    );
    const error = await connection.server.call((client) => client.save({})).catch((error: unknown) => error);
    expect(error).toMatchObject({ isFinal: false, fault: { kind: 'unreachable' } });
    await eventually('the end of the stream', () => (open === 0 ? true : null));
  });

  it.each(proxysWord)('%s does not bring trust back to what a save may have stored', async (_, treat) => {
    const connection = await connect(await server(treat));
    const record = new TransferRecord();
    const subject = { kind: 'save', requestId: 'a', blockIds: [0] } as const;
    let isTrusted = false;
    const refusedAfterRelease = () => {
      isTrusted = true;
    };
    const events = { ...record.events, refusedAfterRelease };
    const transfer = new Transfer(subject, connection.server, budgetsFrom(), events, () => {});
    transfer.abandon({ kind: 'timedOut', message: 'the declared time is over' });
    transfer.rpcFailed(await connection.server.call((client) => client.save({})).catch((error: unknown) => error));
    expect([record.said.at(-1), isTrusted]).toEqual(['failed by unsafeRelease', false]);
  });

  it('a reset stream leaves a load to its record', async () => {
    const connection = await connect(await server((stream) => stream.close(constants.NGHTTP2_CANCEL)));
    const record = new TransferRecord();
    const loads = new Loads(budgetsFrom());
    atEnd(() => {
      for (const transfer of loads.transfers) transfer.abandon({ kind: 'unreachable', message: 'the test is over' });
    });
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    const intent = { requestId: 'a', epoch, leases: [{ groupId: 0, lease: new Uint8Array(16), blockIds: [0] }] };
    const target = { instanceId: 'a', tpRank: 0, deviceId: 0, layers: [] };
    loads.start(connection.server, target, intent, record.events);
    await eventually('the failed call', () => record.said[0] ?? null);
    expect(record.said).toEqual(['refused: unreachable', 'inDoubt']);
  });

  it('a load that is given up, or proved to be over, frees the stream that the server has not answered on', async () => {
    const streams: ServerHttp2Stream[] = [];
    const connection = await connect(await server((stream) => streams.push(stream)));
    const record = new TransferRecord();
    const loads = new Loads(budgetsFrom({ settleMs: 1 }));
    const target = { instanceId: 'a', tpRank: 0, deviceId: 0, layers: [] };
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    for (const requestId of ['given up', 'over']) {
      loads.start(connection.server, target, { requestId, epoch, leases: [] }, record.events);
    }
    await eventually('both calls', () => (streams.length === 2 ? true : null));
    const [givenUp, over] = loads.transfers;
    givenUp!.abandon({ kind: 'timedOut', message: 'the declared time is over' });
    loads.proveOver(over!);
    await eventually('the end of both streams', () => (streams.every(({ closed }) => closed) ? true : null));
    expect(loads.transfers).toEqual([]);
  });

  it('a stream that the server refused to process is final, as after GOAWAY', async () => {
    const connection = await connect(await server((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM)));
    const error = await connection.server.call((client) => client.save({})).catch((error: unknown) => error);
    expect(error).toMatchObject({ isFinal: true, fault: { kind: 'unreachable' } });
  });

  it('what the server answered is final, and so is what was never sent', async () => {
    const connection = await connect(await server(refusing));
    const failureOf = (call: Promise<unknown>) =>
      call.then(
        () => null,
        (error: unknown) => error,
      );
    const answered = await failureOf(connection.server.call((client) => client.save({})));
    expect(answered).toMatchObject({ isFinal: true, fault: { kind: 'rejected' } });
    const { server: link } = connection;
    const big = new Uint8Array(65 << 20);
    const tooLarge = await failureOf(link.call((client) => client.release({ lease: big })));
    expect(tooLarge).toMatchObject({ isFinal: true, fault: { kind: 'rejected' } });
    link.drop();
    const afterwards = await failureOf(link.call((client) => client.save({})));
    expect(afterwards).toMatchObject({ isFinal: true, fault: { kind: 'unreachable' } });
  });

  it('a proxy that answers 404 for everybody is unreachable, not a server of another version', async () => {
    const endpoint = await server((stream) => stream.respond({ ':status': 404 }, { endStream: true }));
    const instance = own(new TestInstance(endpoint, { worldSize: 1 }).start());
    const states: string[] = [];
    instance.scheduler.onStatus(({ state }) => states.push(state));
    const fault = await eventually('the fault', () => instance.scheduler.status.fault);
    expect(fault.kind).toBe('unreachable');
    expect(fault.message).toContain('HTTP 404 and no gRPC status: a proxy, or no gRPC server');
    expect(states).not.toContain('incompatible');
  });
});
