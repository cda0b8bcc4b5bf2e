import { expect, it } from 'vitest';
import { instrumentsOf } from '../../../../src/telemetry/metrics/instruments.ts';
import { MachineMetrics } from '../../../../src/telemetry/metrics/machine-metrics.ts';
import { MadeSteps } from '../../../support/machine-steps.ts';
import { TelemetryRecorder } from '../../../support/telemetry-recorder.ts';

it('a connector that was stopped is in no state, so that its successor of the same name is in one', async () => {
  const recorder = new TelemetryRecorder();
  const instruments = instrumentsOf(recorder.meterProvider);
  const life = ['reconnecting.dialing', 'connected', 'stopped'];
  for (const paths of [life, life.slice(0, 2)]) {
    const steps = new MadeSteps<object>();
    const metrics = new MachineMetrics(instruments, { 'pegaflow.instance.id': 'i' });
    for (const path of paths) metrics.stepped(steps.to(path, 'happened', {}, 1_000), 1);
  }
  const { points } = await recorder.collect();
  const states = points.filter(({ name }) => name === 'pegaflow.connector.state');
  expect(Object.fromEntries(states.map(({ attributes, value }) => [attributes['pegaflow.state'], value]))).toEqual({
    reconnecting: 0,
    connected: 1,
  });
});
