import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SaveRequestSchema, SessionRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { goawayOf, Http2Frames, settingsOf } from '../../support/http2-frames.ts';
import { own } from '../../support/own.ts';
import { messageFrame, type RawAnswer, RawGrpc, type RawRequest } from '../../support/raw-grpc.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { within } from '../../support/within.ts';

const OK = {
  headers: { ':status': 200, 'content-type': 'application/grpc' },
  trailers: { 'grpc-status': '0' },
  body: messageFrame(Buffer.from([0x0a, 2, 8, 1])),
};

/** Trailers-Only. */
const refusal = (code: number, message: string | null, headers: object = {}) => ({
  headers: {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(code),
    ...(message !== null && { 'grpc-message': message }),
    ...headers,
  },
  trailers: null,
  body: Buffer.alloc(0),
  rstCode: 0,
});

const health = '/pegaflow.Engine/Health';
const empty = messageFrame();

/** A message that is one string field of so many bytes, with what says that it is. */
const messageOfSize = (sizeBytes: number): Buffer => {
  const message = Buffer.alloc(sizeBytes);
  message.set([0x0a, ...varint(sizeBytes - 6)]);
  return message;
};

const varint = (value: number): number[] => {
  const bytes = [0, 7, 14, 21, 28].map((shift) => ((value >>> shift) & 0x7f) | 0x80);
  bytes[4]! &= 0x7f;
  return bytes;
};

/** What is on the wire below the messages, at any server that speaks it. */
export function describeWire(name: string, start: () => Promise<ServerProcess>): void {
  describe(`the wire of ${name}`, () => {
    let server: ServerProcess;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server[Symbol.asyncDispose]());

    const connected = () => {
      const { grpcAddress } = server;
      const grpc = own(new RawGrpc(grpcAddress));
      const ask = (request: Partial<RawRequest>): Promise<RawAnswer> =>
        grpc.call({ path: health, body: empty, ...request });
      return { grpcAddress, grpc, ask };
    };

    test('its SETTINGS and the window of the connection are what tonic announces', async () => {
      const { grpcAddress } = connected();
      const frames = own(await Http2Frames.connect(grpcAddress));
      expect(settingsOf(await frames.nth('SETTINGS'))).toEqual({ 4: 1_048_576, 5: 16_384, 6: 16_384 });
      const window = await frames.nth('WINDOW_UPDATE');
      expect([window.streamId, window.payload.readUInt32BE()]).toEqual([0, 1_048_576 - 65_535]);
    });

    test('an answer is HEADERS, DATA and trailers; a refusal is one HEADERS frame', async () => {
      const { ask } = connected();
      expect(await ask({})).toMatchObject(OK);
      const release = await ask({ path: '/pegaflow.Engine/Release' });
      expect(release).toEqual(refusal(3, 'query%20lease%20id%20must%20be%20non-empty'));
    });

    test('a message is escaped as the url crate does', async () => {
      const { ask } = connected();
      const instanceId = ' %"<>`{}|^\\~#?:,=;/@é\n!$&\'()*+-.[]_aZ0';
      const body = messageFrame(toBinary(SaveRequestSchema, create(SaveRequestSchema, { instanceId })));
      const escaped = `%20%25%22%3C%3E%60%7B%7D|^\\~%23%3F:,=;/@%C3%A9%0A!$&'()*+-.[]_aZ0`;
      const answer = await ask({ path: '/pegaflow.Engine/Save', body });
      expect(answer).toEqual(refusal(9, `instance%20${escaped}%20not%20found`));
    });

    test('a long refusal is one too', async () => {
      const { ask } = connected();
      const instanceId = 'a'.repeat(100_000);
      const body = messageFrame(toBinary(SaveRequestSchema, create(SaveRequestSchema, { instanceId })));
      const answer = await ask({ path: '/pegaflow.Engine/Save', body });
      expect(answer).toEqual(refusal(9, `instance%20${instanceId}%20not%20found`));
    });

    test('an unknown method, service or path is UNIMPLEMENTED without a word, over HTTP 200', async () => {
      const { ask } = connected();
      for (const path of ['/pegaflow.Engine/Nothing', '/pegaflow.Engine/SpillOffer']) {
        expect(await ask({ path }), path).toEqual(refusal(12, null));
      }
      for (const path of ['/pegaflow.Other/Health', '/', '/pegaflow.Engine/', '/grpc.health.v1.Health/Check']) {
        expect(await ask({ path }), path).toEqual(refusal(12, null, { 'content-length': '0' }));
      }
    });

    test('neither the HTTP method nor the content type matters, nor a query behind the path', async () => {
      const { ask } = connected();
      const served: Partial<RawRequest>[] = [
        { method: 'PUT' },
        { path: `${health}?x=1` },
        { headers: { te: undefined } },
        { headers: { 'content-type': undefined } },
        { headers: { 'content-type': 'application/json' } },
        { headers: { 'content-type': 'application/grpc+json' } },
      ];
      for (const request of served) expect(await ask(request), JSON.stringify(request)).toMatchObject(OK);
      const json = { body: messageFrame(Buffer.from('{}')), headers: { 'content-type': 'application/grpc+json' } };
      const { headers } = await ask(json);
      expect(headers['grpc-status']).toBe('13');
      expect(headers['grpc-message']).toMatch(/^failed%20to%20decode%20Protobuf%20message:%20/);
    });

    test.each([
      ['a GET', { method: 'GET' }, 'Missing%20request%20message.'],
      ['no message', { body: Buffer.alloc(0) }, 'Missing%20request%20message.'],
      ['half a prefix', { body: Buffer.alloc(3) }, 'Unexpected%20EOF%20decoding%20stream.'],
      ['half a message', { body: Buffer.from([0, 0, 0, 0, 9, 1, 2]) }, 'Unexpected%20EOF%20decoding%20stream.'],
      [
        'half a second message',
        { body: Buffer.concat([empty, Buffer.alloc(3)]) },
        'Unexpected%20EOF%20decoding%20stream.',
      ],
      [
        'a compressed message without an encoding',
        { body: messageFrame(Buffer.alloc(0), 1) },
        'protocol%20error:%20received%20message%20with%20compressed-flag%20but%20no%20grpc-encoding%20was%20specified',
      ],
      [
        'a flag that is not known',
        { body: messageFrame(Buffer.alloc(0), 2) },
        'protocol%20error:%20received%20message%20with%20invalid%20compression%20flag:%202%20(valid%20flags%20are%200%20and%201),%20while%20sending%20request',
      ],
    ])('%s is INTERNAL', async (_, request, words) => {
      const { ask } = connected();
      const given = 'method' in request ? { ...request, body: Buffer.alloc(0) } : request;
      expect(await ask(given)).toEqual(refusal(13, words));
    });

    test('of two messages the first is served', async () => {
      const { ask } = connected();
      expect(await ask({ body: Buffer.concat([empty, empty]) })).toMatchObject(OK);
    });

    test('a message in many pieces is read, and one that cannot be decoded is INTERNAL before its request ends', async () => {
      const { ask, grpc } = connected();
      const message = messageFrame(toBinary(SaveRequestSchema, create(SaveRequestSchema, { instanceId: 'pieces' })));
      const stream = grpc.open({ path: '/pegaflow.Engine/Save', staysOpen: true });
      const status = new Promise((resolve) => {
        stream.once('response', (headers) => resolve(headers['grpc-message']));
      });
      for (const byte of message) {
        await new Promise((resolve) => stream.write(Buffer.from([byte]), resolve));
      }
      stream.end();
      stream.resume();
      expect(await within(5000, 'the answer', status)).toBe('instance%20pieces%20not%20found');
      for (const bytes of [
        [0x0a, 0x7f],
        [0x0a, 2, 0xff, 0xfe],
        [0x08, 1],
        [0, 1],
      ]) {
        const body = messageFrame(Buffer.from(bytes));
        const { headers, rstCode } = await ask({ path: '/pegaflow.Engine/Save', body, staysOpen: true });
        expect([headers['grpc-status'], rstCode]).toEqual(['13', 0]);
        expect(headers['grpc-message']).toMatch(/^failed%20to%20decode%20Protobuf%20message:%20/);
      }
    });

    test('an encoding that it does not have is UNIMPLEMENTED and names the one it has', async () => {
      const { ask } = connected();
      for (const path of [health, '/pegaflow.Engine/Session']) {
        const answer = await ask({ path, headers: { 'grpc-encoding': 'gzip' } });
        const words = "Content%20is%20compressed%20with%20%60gzip%60%20which%20isn't%20supported";
        expect(answer, path).toEqual(refusal(12, words, { 'grpc-accept-encoding': 'identity' }));
      }
      expect(await ask({ headers: { 'grpc-encoding': 'identity' } })).toMatchObject(OK);
    });

    test('a malformed grpc-timeout is ignored', async () => {
      const { ask } = connected();
      for (const timeout of ['abc', '999999999S', '-1S', '1', '1X', '']) {
        expect(await ask({ headers: { 'grpc-timeout': timeout } }), timeout).toMatchObject(OK);
      }
    });

    test('a deadline is CANCELLED "Timeout expired", also for a request that never ends', async () => {
      const { ask } = connected();
      for (const path of [health, '/pegaflow.Engine/Session']) {
        const answer = await ask({ path, headers: { 'grpc-timeout': '100m' }, staysOpen: true });
        expect(answer, path).toEqual(refusal(1, 'Timeout%20expired'));
      }
    });

    test('the headers of a Session come at once, and its deadline ends with them', async () => {
      const { grpc, ask } = connected();
      const body = messageFrame(toBinary(SessionRequestSchema, create(SessionRequestSchema, { instanceId: 'wire' })));
      const stream = grpc.open({ path: '/pegaflow.Engine/Session', body, headers: { 'grpc-timeout': '50m' } });
      const headers = new Promise<object>((resolve) => {
        stream.once('response', resolve);
      });
      expect(await within(5000, 'the headers', headers)).toMatchObject(OK.headers);
      // Longer than the session's own deadline.
      await ask({ path: health, headers: { 'grpc-timeout': '150m' }, staysOpen: true });
      expect(stream.closed).toBe(false);
    });

    test('a message over 64 MiB is OUT_OF_RANGE at its prefix; the connection and its Session live on', async () => {
      const { grpc, ask } = connected();
      const body = messageFrame(toBinary(SessionRequestSchema, create(SessionRequestSchema, { instanceId: 'wire' })));
      const session = grpc.open({ path: '/pegaflow.Engine/Session', body });
      await within(5000, 'the session', new Promise((resolve) => session.once('response', resolve)));
      const words =
        'Error,%20decoded%20message%20length%20too%20large:%20found%2067108865%20bytes,%20the%20limit%20is:%2067108864%20bytes';
      const tooLarge = messageFrame(Buffer.alloc((64 << 20) + 1));
      expect(await ask({ body: tooLarge })).toEqual(refusal(11, words));
      expect(await ask({ body: tooLarge.subarray(0, 5), staysOpen: true })).toEqual(refusal(11, words));
      expect(await ask({ body: messageFrame(messageOfSize(64 << 20)) })).toMatchObject(OK);
      expect(session.closed).toBe(false);
    });

    test('metadata over 16 KiB are HTTP 431 and nothing else', async () => {
      const { ask } = connected();
      const tooLarge = { headers: { ':status': 431 }, trailers: null, body: Buffer.alloc(0), rstCode: 0 };
      expect(await ask({ headers: { 'x-large': 'a'.repeat(15_900) } })).toMatchObject(OK);
      expect(await ask({ headers: { 'x-large': 'a'.repeat(16_200) } })).toEqual(tooLarge);
      expect(await ask({ path: '/nothing', headers: { 'x-large': 'a'.repeat(30_000) } })).toEqual(tooLarge);
      expect(await ask({})).toMatchObject(OK);
    });

    test('garbage among frames ends the connection with GOAWAY, FRAME_SIZE_ERROR', async () => {
      const { grpcAddress, ask } = connected();
      const frames = own(await Http2Frames.connect(grpcAddress));
      await frames.nth('SETTINGS');
      frames.write(Buffer.alloc(256, 0x7f));
      expect(goawayOf(await frames.nth('GOAWAY')).code).toBe(6);
      await frames.ended();
      expect(await ask({})).toMatchObject(OK);
    });
  });
}
