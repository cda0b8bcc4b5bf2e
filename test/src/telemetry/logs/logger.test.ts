import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type Logger, SchedulerConnector } from '../../../../src/index.ts';
import { LogRecorder } from '../../../support/log-recorder.ts';

const options = { endpoint: 'http://127.0.0.1:1', instanceId: 'logged', namespace: 'n', worldSize: 1, tpSize: 1 };

it('a pino logger is taken as it is, and console', async () => {
  const lines: object[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const loggers: readonly Logger[] = [pino(stream), console];
  const scheduler = new SchedulerConnector({ ...options, logger: loggers[0]! });
  scheduler.start();
  await scheduler.stop();
  const identity = { instance: 'logged', epoch: 0 };
  expect(lines).toMatchObject([
    { level: 30, ...identity, endpoint: options.endpoint, msg: 'looking for the cache server' },
    { level: 30, ...identity, msg: 'connector stopped' },
  ]);
});

it('no line names a trace where there is none', async () => {
  const logger = new LogRecorder();
  const scheduler = new SchedulerConnector({ ...options, logger });
  scheduler.start();
  await scheduler.stop();
  expect(logger.lines.length).toBeGreaterThan(1);
  expect(logger.lines.filter(({ fields }) => 'traceId' in fields)).toEqual([]);
});
