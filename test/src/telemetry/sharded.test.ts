import { expect, it } from 'vitest';
import { ShardedSchedulerConnector } from '../../../src/index.ts';
import { TelemetryRecorder } from '../../support/telemetry-recorder.ts';

it('a query over several servers is counted once, whichever of them it could not ask', async () => {
  const recorder = new TelemetryRecorder();
  const scheduler = new ShardedSchedulerConnector({
    endpoints: ['http://127.0.0.1:1', 'http://127.0.0.1:2'],
    instanceId: 'sharded',
    namespace: 'sharded',
    worldSize: 2,
    tpSize: 2,
    meterProvider: recorder.meterProvider,
  });
  await scheduler.query({ requestId: 'asks', blockHashes: [] });
  const { points } = await recorder.collect();
  expect(points.filter(({ name }) => name === 'pegaflow.connector.queries')).toMatchObject([
    {
      value: 1,
      attributes: {
        'pegaflow.instance.id': 'sharded',
        'pegaflow.query.outcome': 'miss',
        'pegaflow.miss.reason': 'notConnected',
        'pegaflow.state': 'reconnecting',
      },
    },
  ]);
});
