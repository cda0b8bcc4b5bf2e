import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, portComplaint } from '../../../src/demo/free-port.ts';
import { checkMetricsPorts, metricsPlaces } from '../../../src/demo/telemetry.ts';
import { atEnd } from '../../support/own.ts';

/** The first of so many free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const complaints = Array.from({ length: count }, (_, index) => portComplaint(first + index));
    if ((await Promise.all(complaints)).every((complaint) => complaint === null)) return first;
  }
}

test.each(['scheduler', 'rank 0', 'rank 1', 'engine'].entries().toArray())(
  'port %d of the metrics that is in use is named with the %s, which needs it',
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
