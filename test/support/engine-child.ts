/** An engine as a process of its own, for tests: options as JSON in the first argument, flags after it. */
import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { createPrometheusMetrics } from '../../src/engine/index.ts';
import { dieBy, runEngine } from '../../src/engine/process.ts';

const { deviceCount, ...options } = JSON.parse(process.argv[2] ?? '{}');
const driver = createEmulatedDriver(deviceCount === undefined ? {} : { deviceCount });
const { meterProvider, handler } = await createPrometheusMetrics();
const write = (level: string) => (_: object, message: string) => process.stderr.write(`${level} ${message}\n`);
const log = { debug: write('DEBUG'), info: write('INFO'), warn: write('WARN'), error: write('ERROR') };

// Nobody is left to end this process when its test is gone.
process.stdin.once('end', () => process.exit());
process.stdin.resume();
process.stdin.unref();

const printLine = (line: string) => {
  if (process.argv.includes('--ignore-sigterm')) process.removeAllListeners('SIGTERM').on('SIGTERM', () => {});
  process.stdout.write(`${line}\n`);
};

const serve = process.argv.includes('--connect-node')
  ? (await import('./connect-node-server.ts')).serveThroughConnectNode
  : undefined;

const signal = await runEngine(
  { driver, meterProvider, metricsHandler: handler, ...options },
  { log, printLine },
  serve,
);
if (signal !== null) dieBy(signal);
