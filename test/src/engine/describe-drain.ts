import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { SessionRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { hashesOf, TestConnection, TestRank } from '../../support/engine-rank.ts';
import { goawayOf, Http2Frames } from '../../support/http2-frames.ts';
import { own } from '../../support/own.ts';
import { messageFrame } from '../../support/raw-grpc.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { within } from '../../support/within.ts';

const MAX_STREAM_ID = 2 ** 31 - 1;
const NO_ERROR = 0;
const CANCEL = 8;

const health = '/pegaflow.Engine/Health';
const session = '/pegaflow.Engine/Session';
const sessionRequest = messageFrame(
  toBinary(SessionRequestSchema, create(SessionRequestSchema, { instanceId: 'held' })),
);

const errorCode = (code: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return payload;
};

/** How a server goes, at any that speaks the wire. */
export function describeDrain(name: string, version: string, start: () => Promise<ServerProcess>): void {
  describe(`the end of ${name}`, () => {
    const started = async () => own(await start());

    const connect = async ({ grpcAddress }: ServerProcess) => {
      const frames = own(await Http2Frames.connect(grpcAddress));
      await frames.nth('SETTINGS');
      return frames;
    };

    /** A connection with an open Session on stream 1. */
    const holding = async (server: ServerProcess) => {
      const frames = await connect(server);
      frames.request(1, session, sessionRequest);
      await frames.nth('HEADERS');
      return frames;
    };

    const endSession = (frames: Http2Frames) => frames.send('RST_STREAM', 0, 1, errorCode(CANCEL));

    const exitOf = (server: ServerProcess) => within(10_000, 'the end of the server', server.exited);

    test('it announces its end with GOAWAY and PING, serves what crosses them, and ends with the last stream', async () => {
      const server = await started();
      const frames = await holding(server);
      server.signal('SIGINT');
      expect(goawayOf(await frames.nth('GOAWAY'))).toEqual({ lastStreamId: MAX_STREAM_ID, code: NO_ERROR });
      const ping = await frames.nth('PING');
      frames.request(3, health, messageFrame());
      await frames.nth('DATA');
      expect((await frames.nth('HEADERS', 3)).streamId).toBe(3);
      frames.ackPing(ping);
      expect(goawayOf(await frames.nth('GOAWAY', 2))).toEqual({ lastStreamId: 3, code: NO_ERROR });
      expect(server.isRunning).toBe(true);
      endSession(frames);
      await frames.ended();
      // This side of the connection is still open.
      expect(await exitOf(server)).toBe(0);
    });

    test('a connection without a stream is ended with the answer to the PING, while another holds the server', async () => {
      const server = await started();
      const holder = await holding(server);
      const idle = await connect(server);
      server.signal('SIGINT');
      idle.ackPing(await idle.nth('PING'));
      expect(goawayOf(await idle.nth('GOAWAY', 2)).code).toBe(NO_ERROR);
      await idle.ended();
      expect((await server.http('GET', '/health')).status).toBe(200);
      holder.ackPing(await holder.nth('PING'));
      endSession(holder);
      expect(await exitOf(server)).toBe(0);
    });

    test('a second SIGINT changes nothing', async () => {
      const server = await started();
      const frames = await holding(server);
      server.signal('SIGINT');
      const ping = await frames.nth('PING');
      server.signal('SIGINT');
      frames.request(3, health, messageFrame());
      expect((await frames.nth('HEADERS', 3)).streamId).toBe(3);
      frames.ackPing(ping);
      await frames.nth('GOAWAY', 2);
      expect((await server.http('GET', '/health')).status).toBe(200);
      endSession(frames);
      expect(await exitOf(server)).toBe(0);
    });

    test('the Shutdown RPC is answered, drains, closes the HTTP port at once and is a WARN', async () => {
      const server = await started();
      const holder = await holding(server);
      // By frames: Node's client ends its open streams when the GOAWAY crosses the answer.
      const caller = await connect(server);
      caller.request(1, '/pegaflow.Engine/Shutdown', messageFrame());
      await caller.nth('DATA');
      await caller.nth('HEADERS', 2);
      caller.ackPing(await caller.nth('PING'));
      holder.ackPing(await holder.nth('PING'));
      await holder.nth('GOAWAY', 2);
      await expect(server.http('GET', '/health')).rejects.toThrow();
      await server.logged('Shutdown requested via RPC');
      expect(server.log.split('\n').find((line) => line.includes('Shutdown requested'))).toMatch(/WARN/);
      endSession(holder);
      expect(await exitOf(server)).toBe(0);
    });

    test('a Shutdown while it drains announces nothing a second time', async () => {
      const server = await started();
      const frames = await holding(server);
      server.signal('SIGINT');
      const ping = await frames.nth('PING');
      frames.request(3, '/pegaflow.Engine/Shutdown', messageFrame());
      expect((await frames.nth('HEADERS', 3)).streamId).toBe(3);
      frames.ackPing(ping);
      await frames.nth('GOAWAY', 2);
      await server.logged('Shutdown requested via RPC');
      endSession(frames);
      expect(await exitOf(server)).toBe(0);
      const announced = frames.all('GOAWAY').map((frame) => goawayOf(frame).lastStreamId);
      expect([...new Set(announced)]).toEqual([MAX_STREAM_ID, 3]);
    });

    test('SIGTERM ends it by that signal at once, also while it drains', async () => {
      const [serving, draining] = [await started(), await started()];
      const [first, second] = [await holding(serving), await holding(draining)];
      serving.signal('SIGTERM');
      draining.signal('SIGINT');
      await second.nth('GOAWAY');
      draining.signal('SIGTERM');
      expect(await exitOf(serving)).toBe('SIGTERM');
      expect(await exitOf(draining)).toBe('SIGTERM');
      await first.ended();
      expect(first.all('GOAWAY')).toEqual([]);
    });

    test('a load in flight is not waited for, and its record is never written', async () => {
      const server = await started();
      const connection = new TestConnection(`http://${server.grpcAddress}`);
      const rank = own(new TestRank(connection.client, createEmulatedDriver(), { clientVersion: version }));
      await rank.register();
      await rank.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      await server.fault({ copyDelayMs: 60_000 });
      const load = await rank.load(lease, [1]);
      connection[Symbol.dispose]();
      server.signal('SIGINT');
      expect(await exitOf(server)).toBe(0);
      expect(load.stateNow()).toBe(0);
    });
  });
}
