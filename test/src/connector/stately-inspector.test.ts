import { once } from 'node:events';
import { createWebSocketInspector } from '@statelyai/inspect';
import { createInspectorServer } from '@statelyai/inspect/server';
import { test } from 'vitest';
import { freePort } from '../../../src/demo/server/free-port.ts';
import { SchedulerConnector } from '../../../src/index.ts';
import { atEnd } from '../../support/own.ts';
import { eventually } from '../../support/within.ts';

/** The part of Stately's message that is looked at here. */
interface InspectionMessage {
  readonly type: string;
  readonly snapshot?: { readonly value?: unknown };
}

test("Stately's inspector, given as it is, sends the machine's snapshots over its WebSocket to whoever shows them", async () => {
  const port = await freePort();
  const server = createInspectorServer({ port, url: 'http://127.0.0.1:1', autoOpen: false });
  atEnd(() => server.stop());
  const viewer = new WebSocket(`ws://127.0.0.1:${port}`);
  atEnd(() => viewer.close());
  const messages: InspectionMessage[] = [];
  viewer.onmessage = ({ data }) => messages.push(JSON.parse(String(data)));
  await once(viewer, 'open');

  const inspector = createWebSocketInspector({ url: `ws://127.0.0.1:${port}` });
  atEnd(() => inspector.stop());
  const scheduler = new SchedulerConnector({
    endpoint: 'http://127.0.0.1:1',
    instanceId: 'replica',
    namespace: 'model',
    worldSize: 1,
    tpSize: 1,
    budgets: { stopTimeoutMs: 100 },
    inspect: inspector.inspect,
  });
  scheduler.start();
  const shown = (value: unknown) => () =>
    messages.find(
      ({ type, snapshot }) => type === '@xstate.snapshot' && JSON.stringify(snapshot?.value) === JSON.stringify(value),
    ) ?? null;
  await eventually('a dial', shown({ reconnecting: 'dialing' }));
  await eventually('a refused dial', shown({ reconnecting: 'waiting' }));
  await scheduler.stop();
  await eventually('the end', shown('stopped'));
});
