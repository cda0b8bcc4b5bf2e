import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { forkHost } from '../../../src/demo/hosts/ipc.ts';
import type { FromScheduler, ToScheduler } from '../../../src/demo/hosts/messages.ts';
import { kvLayout, modelPreset } from '../../../src/demo/model/models.ts';
import { SCHEDULER_MODULE } from '../../../src/demo/processes.ts';
import { freePort, portComplaint } from '../../../src/demo/server/free-port.ts';
import { checkMetricsPorts, forkOptionsOf, metricsPlaces } from '../../../src/demo/telemetry.ts';
import { atEnd } from '../../support/own.ts';

/** The first of so many free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const complaints = Array.from({ length: count }, (_, index) => portComplaint(first + index));
    if ((await Promise.all(complaints)).every((complaint) => complaint === null)) return first;
  }
}

test.each([...['scheduler', 'rank 0', 'rank 1', 'engine'].entries()])(
  'port %d of the metrics, where it is in use, is named with the %s that needs it',
  async (index, name) => {
    const first = await freePorts(4);
    await expect(checkMetricsPorts(first, 2)).resolves.toBeUndefined();
    const holder = createServer().listen(first + index, '127.0.0.1');
    await once(holder, 'listening');
    atEnd(() => holder.close());
    const message = `--metrics-port: 127.0.0.1:${first + index} (${name}) is in use`;
    await expect(checkMetricsPorts(first, 2)).rejects.toMatchObject({ name: 'RunError', message });
  },
);

test('the places of the metrics are one line, however many ranks there are', () => {
  expect(metricsPlaces(9464, 1)).toBe(
    'http://127.0.0.1:9464/metrics (scheduler), at ports 9465 (rank 0) and 9466 (engine)',
  );
  expect(metricsPlaces(9464, 4)).toBe(
    'http://127.0.0.1:9464/metrics (scheduler), at ports 9465 to 9468 (ranks) and 9469 (engine)',
  );
});

test('a scheduler whose collector is not there warns its run', async () => {
  const preload = new URL('../../../src/cli/host-telemetry.ts', import.meta.url).href;
  const nowhere = 'http://127.0.0.1:1';
  const telemetry = { preload, otlpUrl: nowhere, metricsPort: null };
  const host = forkHost<FromScheduler, ToScheduler>(SCHEDULER_MODULE, { ownGroup: false, ...forkOptionsOf(telemetry) });
  atEnd(async () => {
    host.process.disconnect();
    await host.exited;
  });
  const warning = new Promise<string>((resolve) => {
    host.onMessage((message) => {
      if (message.type === 'warned') resolve(message.warning);
    });
  });
  host.send({
    type: 'start',
    server: { endpoint: nowhere, instanceId: 'demo', namespace: 'test' },
    layout: kvLayout({ model: modelPreset('qwen3-0.6b'), ranks: 1, deviceMemoryBytes: 2 ** 26, maxBlocks: 8 }),
    device: 'emulated',
    transitions: false,
    fed: false,
  });
  expect(await warning).toBe(`telemetry could not be exported to ${nowhere}: connect ECONNREFUSED 127.0.0.1:1`);
});
