import { expect, it } from 'vitest';
import { ConnectorFeed } from '../../../src/feed/connector-feed.ts';
import { SchedulerConnector, type SchedulerConnectorOptions, shardLayout } from '../../../src/index.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { own } from '../../support/own.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';
import { eventually } from '../../support/within.ts';

const options: SchedulerConnectorOptions = {
  endpoint: 'http://operator:hunter2@127.0.0.1:1',
  instanceId: 'replica',
  namespace: 'n',
  tpSize: 1,
  worldSize: 1,
};

it('the password of an endpoint reaches no log, trace, metric, status, error or feed', async () => {
  const logger = new LogRecorder();
  const recorder = new TelemetryRecorder();
  const { tracerProvider, meterProvider } = recorder;
  const scheduler = new SchedulerConnector({ ...options, logger, tracerProvider, meterProvider });
  const feed = new ConnectorFeed();
  own({ [Symbol.asyncDispose]: () => feed.close() });
  feed.watch(scheduler);
  const { url } = await feed.listen();
  scheduler.start();
  await eventually('a refused dial', () => scheduler.status.fault ?? null);
  const outcome = await scheduler.query({ requestId: 'r', blockHashes: [new Uint8Array(8)] });
  const status = await (await fetch(`${url}/status`)).text();
  const told: unknown[] = [logger.lines, scheduler.status, outcome, status];
  await scheduler.stop();
  told.push(logger.lines, await recorder.collect(), scheduler.status);
  const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);
  expect(JSON.stringify(told, bigints)).not.toMatch(/hunter2|operator/);
  expect(logger.lines[0]).toMatchObject({ fields: { endpoint: 'http://…@127.0.0.1:1' } });
});

it.each([
  ['a query', () => new SchedulerConnector({ ...options, endpoint: 'http://h:80?token=hunter2' })],
  ['another scheme', () => new SchedulerConnector({ ...options, endpoint: 'https://u:hunter2@h:80' })],
  [
    'a place that is named twice',
    () => shardLayout({ ...options, endpoints: Array(2).fill(options.endpoint), tpSize: 2, worldSize: 2 } as never),
  ],
])('an endpoint that is refused for %s is named without its secret', (_, make) => {
  expect(make).toThrow(/…@|\?…/);
  expect(make).not.toThrow(/hunter2/);
});
