import { beforeAll, describe, expect, it } from 'vitest';
import { spanRows, transitionAttributes } from '../../../scripts/telemetry/span-rows.ts';
import { logTable } from '../../../src/telemetry/logs/log-table.ts';
import { attributeTable } from '../../../src/telemetry/metrics/attribute-table.ts';
import { metricTable } from '../../../src/telemetry/metrics/metric-table.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { LogRecorder } from '../../support/log-recorder.ts';
import { startServer } from '../../support/server-under-test.ts';
import { inServiceAfter, provesItself } from '../../support/story.ts';
import { type Recorded, TelemetryRecorder } from '../../support/telemetry-recorder.ts';
import { TestInstance } from '../../support/test-instance.ts';

const BUDGETS = { drainTimeoutMs: 300, settleMs: 50 };

/** A life with all kinds of outages, under traffic, and everything it told. */
async function life(): Promise<{ readonly recorded: Recorded; readonly log: LogRecorder; readonly secrets: string[] }> {
  const recorder = new TelemetryRecorder();
  const { tracerProvider, meterProvider } = recorder;
  const log = new LogRecorder();
  let engine = await startServer();
  const again = async () => {
    await engine.exited;
    engine = await startServer({ addr: engine.grpcAddress, httpAddr: engine.httpAddress });
  };
  const instance = new TestInstance(`http://${engine.grpcAddress}`, {
    budgets: BUDGETS,
    telemetry: { tracerProvider, meterProvider, logger: log },
  }).start();
  const { scheduler } = instance;
  const hashes = hashesOf(2, 'kept');
  try {
    await instance.reached('connected');
    await provesItself(instance);
    await instance.save('saves', [0, 1], hashes);
    await instance.hit('hits', hashes);
    await scheduler.query({ requestId: 'misses', blockHashes: hashesOf(1, 'never saved') });

    engine.signal('SIGKILL');
    await instance.reached('reconnecting');
    await scheduler.query({ requestId: 'misses', blockHashes: hashes });
    await again();
    await inServiceAfter(instance, 1);

    await engine.http('POST', '/instances/cleanup');
    await scheduler.query({ requestId: 'asks', blockHashes: hashes });
    await inServiceAfter(instance, 2);

    engine.signal('SIGINT');
    await instance.reached('reconnecting');
    await again();
    await inServiceAfter(instance, 3);

    await scheduler.drain();
    scheduler.resume();
    await inServiceAfter(instance, 4);
    await provesItself(instance);
  } finally {
    await instance[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  }
  const secrets = [...hashes, ...hashesOf(1, 'never saved')].flatMap((hash) => {
    const bytes = Buffer.from(hash);
    return [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')];
  });
  return { recorded: await recorder.collect(), log, secrets };
}

let told: Awaited<ReturnType<typeof life>>;

beforeAll(async () => {
  told = await life();
}, 90_000);

describe('what a life with every kind of restart tells', () => {
  it('each outage is a trace of its own, which says why and how the server went', () => {
    const roots = told.recorded.spans.filter(({ name }) => /^pegaflow\.(outage|first_connection)$/.test(name));
    expect(
      roots.map(({ name, attributes }) => [
        name,
        attributes['pegaflow.outage.cause'],
        attributes['pegaflow.server.end'],
      ]),
    ).toEqual([
      ['pegaflow.first_connection', 'start', 'none'],
      ['pegaflow.outage', 'link', 'killed'],
      ['pegaflow.outage', 'rpc', 'forgot'],
      ['pegaflow.outage', 'drain', 'drained'],
      ['pegaflow.outage', 'planned', 'drained'],
    ]);
    expect(new Set(roots.map(({ traceId }) => traceId)).size).toBe(roots.length);
  });

  it('the state spans of every outage add up to it, to the nanosecond', () => {
    const { spans } = told.recorded;
    for (const root of spans.filter(({ name }) => /^pegaflow\.(outage|first_connection)$/.test(name))) {
      const states = spans.filter(({ parentId, name }) => parentId === root.spanId && /\.state /.test(name));
      const sumNs = states.reduce((sum, { startNs, endNs }) => sum + endNs - startNs, 0n);
      expect(sumNs).toBe(root.endNs - root.startNs);
    }
  });

  it('every metric is in the table, with its unit, its attributes and none of another value', () => {
    expect(told.recorded.points.length).toBeGreaterThan(50);
    for (const { name, unit, attributes } of told.recorded.points) {
      const row = metricTable[name as keyof typeof metricTable];
      expect(row, name).toBeDefined();
      expect(unit).toBe(row.unit);
      for (const [attribute, value] of Object.entries(attributes)) {
        expect(row.attributes, name).toContain(attribute);
        const { values } = attributeTable[attribute as keyof typeof attributeTable];
        if (typeof values !== 'string') expect(values, `${attribute} of ${name}`).toContain(value);
      }
      const optional = ['pegaflow.rank', 'error.type'];
      expect(row.attributes.filter((attribute) => !(attribute in attributes || optional.includes(attribute)))).toEqual(
        [],
      );
    }
  });

  it('every span and event is in the table of docs/telemetry.md, with no other attribute', () => {
    const rowOf = (name: string) =>
      spanRows[
        name.replace(/^pegaflow\.state \w+$/, 'pegaflow.state <state>').replace(/Engine\/\w+$/, 'Engine/<method>')
      ];
    const seen = new Set<string>();
    for (const { name, attributes, events } of told.recorded.spans) {
      const row = rowOf(name);
      expect(row, name).toBeDefined();
      seen.add(row!.what);
      expect(Object.keys(attributes).filter((attribute) => !row!.attributes.includes(attribute))).toEqual([]);
      for (const event of events) {
        expect(event.name).toBe(row!.event);
        expect(Object.keys(event.attributes).filter((key) => !transitionAttributes.includes(key))).toEqual([]);
      }
    }
    expect(seen.size).toBe(Object.keys(spanRows).length);
  });

  it('queries are counted by what they found and why they missed', () => {
    const counted = told.recorded.points.filter(({ name }) => name === 'pegaflow.connector.queries');
    const of = (outcome: string, reason: string, state: string) =>
      counted
        .filter(
          ({ attributes }) =>
            attributes['pegaflow.query.outcome'] === outcome &&
            attributes['pegaflow.miss.reason'] === reason &&
            attributes['pegaflow.state'] === state,
        )
        .reduce((sum, { value }) => sum + value, 0);
    expect(of('miss', 'notConnected', 'reconnecting')).toBe(1);
    expect(of('hit', 'none', 'connected')).toBeGreaterThanOrEqual(3);
    expect(of('miss', 'notCached', 'connected')).toBeGreaterThanOrEqual(1);
  });

  it('every log line is in the table, with its level and fields, and says whose it is', () => {
    expect(told.log.lines.length).toBeGreaterThan(20);
    for (const { level, fields, message } of told.log.lines) {
      const row = Object.values(logTable).find((one) => one.message === message);
      expect(row, message).toBeDefined();
      expect(level).toBe(row!.level);
      const allowed = ['instance', 'rank', 'epoch', 'traceId', ...row!.fields];
      expect(Object.keys(fields).filter((field) => !allowed.includes(field))).toEqual([]);
      expect(fields).toMatchObject({ instance: expect.any(String), epoch: expect.any(Number) });
    }
  });

  it('the first lost and the first recovered connection are told with cause, epoch and trace', () => {
    const [lost] = told.log.lines.filter(({ message }) => message === 'cache lost');
    const trace = told.recorded.spans.find(({ attributes }) => attributes['pegaflow.server.end'] === 'killed')!;
    expect(lost).toMatchObject({ level: 'warn', fields: { epoch: 1, cause: 'link', traceId: trace.traceId } });
    const [connected] = told.log.lines.filter(({ message }) => message === 'cache connected');
    expect(connected).toMatchObject({
      level: 'info',
      fields: { epoch: 1, cause: 'start', serverEnd: 'none', generations: 1, traceId: expect.any(String) },
    });
  });

  it('no hash leaves, in no line, span or metric', () => {
    const text = JSON.stringify([told.log.lines, told.recorded], (_, value) =>
      typeof value === 'bigint' || typeof value === 'number' ? 0 : value,
    );
    expect(told.secrets.length).toBeGreaterThan(0);
    expect(told.secrets.filter((secret) => text.includes(secret))).toEqual([]);
    // Nor a lease or a handle, which nobody here knows: nothing of that length but our ids is hexadecimal.
    const ids = new Set(told.recorded.spans.flatMap(({ traceId, spanId }) => [traceId, spanId]));
    const strangers = [...text.matchAll(/\b[0-9a-f]{17,}\b/gi)]
      .map(([found]) => found)
      .filter((found) => !ids.has(found));
    expect(strangers).toEqual([]);
  });
});
