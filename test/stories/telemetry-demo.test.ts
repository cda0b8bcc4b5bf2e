/** A demo as an operator runs it: a collector hears of all its processes, and a Prometheus scrapes them. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../src/demo/report/report.ts';
import { freePort } from '../../src/demo/server/free-port.ts';
import { OtlpCollector } from '../support/otlp-collector.ts';
import { dashboardQueries, lackOf, PrometheusProcess } from '../support/prometheus.ts';
import { type CommandProcess, startCommand } from './demo-process.ts';

const RUN_TIMEOUT_MS = 150_000;
const PROCESSES = ['engine', 'rank 0', 'rank 1', 'scheduler'];

const canListen = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** The first of so many free ports in a row. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const rest = Array.from({ length: count - 1 }, (_, index) => canListen(first + 1 + index));
    if ((await Promise.all(rest)).every((isFree) => isFree)) return first;
  }
}

const msOf = ({ startTimeUnixNano, endTimeUnixNano }: { startTimeUnixNano: string; endTimeUnixNano: string }) =>
  Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6;

const lack = lackOf('prometheus');
let collector: OtlpCollector;
let prometheus: PrometheusProcess | null = null;
let demo: CommandProcess;
let report: RunReport;

beforeAll(async () => {
  collector = await OtlpCollector.start();
  const first = await freePorts(4);
  const ports = [0, 1, 2, 3].map((index) => first + index);
  if (lack === null) prometheus = await PrometheusProcess.start(ports);
  const flags = ['--restarts', '1', '--requests', '12', '--json'];
  demo = startCommand('demo', ...flags, '--otlp', collector.url, '--metrics-port', String(first));
  const { code, stdout, stderr } = await demo.ended;
  if (code !== 0) throw new Error(stderr);
  report = JSON.parse(stdout) as RunReport;
}, RUN_TIMEOUT_MS);

afterAll(async () => {
  demo.child.kill('SIGTERM');
  await demo.ended;
  await prometheus?.[Symbol.asyncDispose]();
  await collector[Symbol.asyncDispose]();
});

describe('a demo that is watched', () => {
  it('tells a collector one trace for each restart, over all its processes, and agrees with its own table', () => {
    const [{ awayMs, detectionMs, registeredMs }] = report.restarts as [RunReport['restarts'][0]];
    const roots = collector.spans.filter(({ name }) => name === 'pegaflow.outage');
    expect(roots).toHaveLength(1);
    // From the first evidence to `connected`, by the demo's clock readings at the end of the same two steps of the machine:
    // a busy machine may stop a process between two readings.
    const byTableMs = awayMs! - detectionMs! + registeredMs!;
    expect(Math.abs(msOf(roots[0]!) - byTableMs)).toBeLessThan(500);

    const ofOutage = collector.spans.filter(({ traceId }) => traceId === roots[0]!.traceId);
    expect([...new Set(ofOutage.map(({ process }) => process))].toSorted()).toEqual(PROCESSES);
    const ids = new Set(ofOutage.map(({ spanId }) => spanId));
    expect(ofOutage.filter(({ parentSpanId }) => !ids.has(parentSpanId ?? ''))).toEqual(roots);
    expect([...collector.metrics.keys()].toSorted()).toEqual(PROCESSES);
    expect(collector.metrics.get('scheduler')).toContain('pegaflow.connector.outage.duration');
  });

  it.skipIf(lack)(
    `is scraped by a real Prometheus, which takes every query of the dashboard${lack ? ` (${lack})` : ''}`,
    {
      timeout: 30_000,
    },
    async () => {
      const one = async (expr: string) => Number((await prometheus!.query(expr))[0]?.value[1]);
      const seen = (series: string) => `max_over_time(${series}[5m])`;
      expect(await one(`count(${seen('up')} == 1)`)).toBe(4);
      expect(await one(`sum(${seen('pegaflow_connector_state{pegaflow_state="connected"}')})`)).toBe(3);
      expect(await one(seen('pegaflow_connector_outage_duration_count{pegaflow_outage_cause="link"}'))).toBe(1);
      expect(await one(`count(${seen('pegaflow_rpc_requests_total')})`)).toBeGreaterThan(3);
      for (const expr of dashboardQueries()) await prometheus!.query(expr);
    },
  );

  it('refuses an address that is none, and ports that there are not', { timeout: RUN_TIMEOUT_MS }, async () => {
    const refusals = await Promise.all([
      startCommand('demo', '--otlp', 'collector:4318').ended,
      startCommand('demo', '--metrics-port', '65534').ended,
    ]);
    expect(refusals.map(({ code }) => code)).toEqual([2, 2]);
    expect(refusals[0]!.stderr).toContain('Expected http://host:port.');
    expect(refusals[1]!.stderr).toContain('2 ranks and the engine need ports above 65534');
  });
});
