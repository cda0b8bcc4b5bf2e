import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createActor, toPromise } from 'xstate';
import { budgetsFrom, type Fault } from '../../../machines/index.ts';
import { createOpenSession } from '../../../src/actors/open-session.ts';
import { Connection } from '../../../src/rpc/connection.ts';
import { atEnd, own } from '../../support/own.ts';
import { within } from '../../support/within.ts';

/** A server that opens each session; the test ends them. */
async function sessions() {
  const streams: ServerHttp2Stream[] = [];
  const server = createServer().on('stream', (stream) => {
    stream.on('error', () => {}).respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    streams.push(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connection = own(new Connection({ endpoint, budgets: budgetsFrom() }));
  const up = Promise.withResolvers<void>();
  connection.open({ up: up.resolve, draining: () => {}, down: () => {} });
  await within(20_000, 'the link', up.promise);
  const endOf = async (end: (stream: ServerHttp2Stream) => void): Promise<Fault> => {
    const ended = Promise.withResolvers<Fault>();
    const owner = { connection, session: { instanceId: 'i' }, onSessionEnded: ended.resolve };
    const actor = createActor(createOpenSession(() => owner as never));
    const isOpen = toPromise(actor);
    actor.start();
    await within(20_000, 'the session', isOpen);
    end(streams.at(-1)!);
    return await within(20_000, 'its end', ended.promise);
  };
  return { endOf };
}

const NO_ERROR = 0;
const CANCEL = 8;

describe('a session that ends while its link lives', () => {
  test.each([NO_ERROR, CANCEL])(
    'is told as cut by somebody between, and when, after a reset with code %i',
    async (code) => {
      const { endOf } = await sessions();
      const first = await endOf((stream) => stream.close(code));
      expect(first).toMatchObject({ kind: 'unreachable' });
      expect(first.message).toMatch(
        /^the Session stream was cut after \d+\.\d s, on a connection that lives: .* idle time-out/,
      );
      const second = await endOf((stream) => stream.close(code));
      expect(second.message).toMatch(/cut after \d+\.\d s, the one before after \d+\.\d s, on a connection/);
    },
  );

  test('is told in the server’s own words where it ended it', async () => {
    const { endOf } = await sessions();
    const fault = await endOf((stream) => {
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end();
    });
    expect(fault.message).toBe('the server ended the session');
  });
});
