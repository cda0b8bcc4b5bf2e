import { Command, Option } from 'commander';
import type { DeviceKind } from '../../device-kind.ts';
import type { EngineLog, FaultPatch, PrometheusMetrics } from '../../engine/index.ts';
import { errorText } from '../../error-text.ts';
import { PEGAFLOW_VERSION } from '../../pegaflow-version.ts';
import { UsageError } from '../../usage-error.ts';
import { printLine, visibleLines } from '../output/terminal.ts';
import { startSdk } from '../telemetry-sdk.ts';
import { address, httpUrl, jsonObject, MAX_TIMER_MS, sizeBytes, wholeNumber } from '../values.ts';
import { deviceDriverFor, deviceOption } from './device-option.ts';

interface EngineFlags {
  readonly addr: string;
  readonly httpAddr: string;
  readonly poolSize: number;
  readonly serverVersion?: string;
  readonly leaseTtlMs?: number;
  readonly blockwiseAlloc?: boolean;
  readonly insertDelayMs?: number;
  readonly uncheckedLoadSize?: boolean;
  readonly fault?: object;
  readonly faultControl?: boolean;
  readonly copyThreads: boolean;
  readonly metrics?: boolean;
  readonly logLevel: string;
  readonly device: DeviceKind;
  readonly otlp?: string;
}

const ENGINE_SERVICE = { serviceName: 'pegaflow-engine', serviceInstance: 'engine' };

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

export function engineCommand(): Command {
  return new Command('engine')
    .description(
      'Run the embedded engine: the wire contract of pegaflow-server, for machines without a GPU, and with one',
    )
    .option('--addr <host:port>', 'where gRPC is served; port 0 takes a free one', address, '127.0.0.1:50055')
    .option('--http-addr <host:port>', 'where /health, /metrics and /instances are served', address, '127.0.0.1:9091')
    .addOption(
      new Option('--pool-size <size>', 'memory for cached blocks').argParser(sizeBytes).default(2 ** 30, '1gb'),
    )
    .addOption(deviceOption())
    .option(
      '--server-version <version>',
      `the version that clients must have, and whose behaviour this is (default: ${PEGAFLOW_VERSION})`,
    )
    .option('--lease-ttl-ms <ms>', 'how long a query lease lives (default: 600000)', wholeNumber(1, MAX_TIMER_MS))
    .option('--blockwise-alloc', 'give each block memory of its own, so that a lease does not hold its whole Save')
    .option(
      '--insert-delay-ms <ms>',
      'how long after its answer a Save becomes visible (default: 0, one turn of the event loop)',
      wholeNumber(0, MAX_TIMER_MS),
    )
    .option(
      '--unchecked-load-size',
      'load blocks that were stored in another size, as pegaflow-server does: it reads what lies behind them',
    )
    .option('--fault <json>', 'fault switches that are on from the start', jsonObject)
    .option('--fault-control', 'let /faults of the HTTP port show and change the fault switches')
    .option(
      '--no-copy-threads',
      'start no gpu<device>-save and gpu<device>-load threads, whose end says that a registration’s memory is left alone',
    )
    .option(
      '--metrics',
      'serve /metrics or fail; by default it is served where the OpenTelemetry packages are installed',
    )
    .option('--no-metrics', 'do not serve /metrics')
    .option('--otlp <url>', 'send traces and metrics to an OTLP/HTTP collector', httpUrl)
    .addOption(
      new Option('--log-level <level>', 'what is logged, as JSON lines on standard error')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .action((flags: EngineFlags) => runEngineCommand(flags));
}

async function runEngineCommand(flags: EngineFlags): Promise<void> {
  const {
    addr,
    httpAddr,
    poolSize,
    serverVersion,
    leaseTtlMs,
    blockwiseAlloc,
    insertDelayMs,
    uncheckedLoadSize,
    fault,
    faultControl,
    copyThreads,
    metrics,
    logLevel,
    device,
    otlp,
  } = flags;
  endWithParent();
  const [{ pino }, { dieBy, runEngine }, engine] = await Promise.all([
    import('pino'),
    import('../../engine/process.ts'),
    import('../../engine/index.ts'),
  ]);
  const standardError = pino.destination({ dest: 2, sync: true });
  // JSON escapes only the C0 controls of what a client sent.
  const stream = { write: (line: string) => void standardError.write(visibleLines(line)) };
  const log = pino({ name: 'pegaflow-engine', level: logLevel }, stream);
  const sdk =
    otlp === undefined
      ? null
      : await startSdk({ ...ENGINE_SERVICE, otlpUrl: otlp, onLost: (complaint) => log.warn(complaint) });
  const prometheus = metrics === false ? null : (sdk ?? (await metricsFrom(engine, metrics === true, log)));
  const options = {
    addr,
    httpAddr,
    poolSizeBytes: poolSize,
    driver: deviceDriverFor(device, 1),
    isFaultControlEnabled: faultControl === true,
    hasCopyThreads: copyThreads,
    ...(serverVersion === undefined ? {} : { version: serverVersion }),
    ...(leaseTtlMs === undefined ? {} : { leaseTtlMs }),
    ...(insertDelayMs === undefined ? {} : { insertDelayMs }),
    isAllocationBlockwise: blockwiseAlloc === true,
    isLoadSizeUnchecked: uncheckedLoadSize === true,
    ...(fault === undefined ? {} : { faults: faultsFrom(engine, fault) }),
    ...(prometheus === null ? {} : { meterProvider: prometheus.meterProvider, metricsHandler: prometheus.handler }),
  };
  const signal = await runEngine(options, { log, printLine: (line) => printLine(process.stdout, line) });
  await sdk?.end();
  if (signal !== null) dieBy(signal);
}

async function metricsFrom(
  { createPrometheusMetrics }: typeof import('../../engine/index.ts'),
  isDemanded: boolean,
  log: EngineLog,
): Promise<PrometheusMetrics | null> {
  try {
    return await createPrometheusMetrics();
  } catch (error) {
    const reason = errorText(error);
    if (isDemanded) throw new UsageError(`--metrics: ${reason}`);
    log.info({}, `/metrics is not served: ${reason}`);
    return null;
  }
}

/** A host that forks the engine with a channel takes it along when it dies, however it dies. */
function endWithParent(): void {
  if (process.channel === undefined) return;
  process.once('disconnect', () => process.exit());
  process.channel?.unref();
}

function faultsFrom(
  { faultRequestFrom, FaultJsonError }: typeof import('../../engine/index.ts'),
  json: object,
): FaultPatch {
  try {
    const { patch, forget, crash } = faultRequestFrom(json);
    if (forget !== null || crash) throw new UsageError('--fault: "forget" and "crash" can only be posted to /faults');
    return patch;
  } catch (error) {
    throw error instanceof FaultJsonError ? new UsageError(`--fault: ${error.message}`) : error;
  }
}
