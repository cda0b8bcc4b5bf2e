import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { MODEL_PRESETS, modelPreset } from '../../demo/model/models.ts';
import type { DemoOptions, OutageRange } from '../../demo/options.ts';
import { InterruptedError } from '../../demo/run-error.ts';
import { ownServer, type ServedBy } from '../../demo/server/served-by.ts';
import { checkMetricsPorts, type DemoTelemetry, metricsPlaces } from '../../demo/telemetry.ts';
import { readTrace } from '../../demo/workload/trace.ts';
import type { DeviceKind } from '../../device-kind.ts';
import { UsageError } from '../../usage-error.ts';
import { aborted } from '../aborted.ts';
import { printLine } from '../output/terminal.ts';
import { checkSdk } from '../telemetry-sdk.ts';
import { grpcUrl, httpUrl, outageRange, positiveNumber, sizeBytes, wholeNumber } from '../values.ts';
import { deviceDriverFor, deviceKindFor, openDeviceOption } from './device-option.ts';

/** What a shell reports for a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;
const EXIT_FAILED = 1;

interface DemoFlags {
  readonly server?: string;
  readonly serverLog?: string;
  readonly endpoint?: string;
  readonly seconds?: number;
  readonly device?: DeviceKind;
  readonly ranks: number;
  readonly restarts?: number;
  readonly outageMs?: OutageRange;
  readonly model: string;
  readonly requests?: number;
  readonly seed: number;
  readonly concurrency: number;
  readonly trace?: string;
  readonly timeScale?: number;
  readonly blocksPerId?: number;
  readonly deviceMemory: number;
  readonly poolSize?: number;
  readonly transitions?: boolean;
  readonly json?: boolean;
  readonly inspect?: number | true;
  readonly record?: string;
  readonly otlp?: string;
  readonly metricsPort?: number;
}

const MIB = 2 ** 20;

/** What holds for a server of the run's own where nothing else was asked for. */
const DEFAULT_RESTARTS = 3;
const DEFAULT_OUTAGE: OutageRange = { fromMs: 400, toMs: 400 };
const DEFAULT_REQUESTS = 200;
const DEFAULT_POOL_SIZE_BYTES = 1024 * MIB;
/** A day. */
const MAX_SECONDS = 86_400;

export function demoCommand(): Command {
  const models = MODEL_PRESETS.map(({ name }) => name);
  return new Command('demo')
    .description('Serve requests from real processes while their server is killed and started again')
    .argument('[flags...]', "flags of the server's own, after --")
    .option(
      '--server <engine|command>',
      'the server to kill and to start again: the embedded engine, or the path of a pegaflow-server (default: engine)',
    )
    .option('--server-log <file>', 'write what the server logs to a file; one that is there is replaced')
    .option(
      '--endpoint <url>',
      'use a server that somebody else restarts, and report the outages that were seen; until --requests or --seconds are over, or until Ctrl-C',
      grpcUrl,
    )
    .option('--seconds <n>', 'with --endpoint: how long requests are sent', wholeNumber(1, MAX_SECONDS))
    .addOption(openDeviceOption())
    .option('--ranks <n>', 'tensor-parallel ranks, one worker process each (8 a core are many)', wholeNumber(1, 64), 2)
    .option(
      '--restarts <n>',
      `how often the server is stopped: killed, killed and back at once, drained (default: ${DEFAULT_RESTARTS})`,
      wholeNumber(0, 1_000),
    )
    .addOption(
      new Option(
        '--outage-ms <ms>',
        'how long a killed or drained server stays away: a number or a range such as 0..500 (default: 400)',
      ).argParser(outageRange),
    )
    .addOption(new Option('--model <name>', 'KV-cache geometry').choices(models).default(models[0]))
    .option(
      '--requests <n>',
      `requests to replay at least; the replay goes on while restarts are due (default: ${DEFAULT_REQUESTS})`,
      wholeNumber(1, 1_000_000),
    )
    .option('--seed <n>', 'decides chats, outages and moments', wholeNumber(0, 2 ** 32 - 1), 1)
    .option('--concurrency <n>', 'requests in flight at a time', wholeNumber(1, 256), 6)
    .option('--trace <file>', 'replay a trace in the Mooncake format instead of generated chats')
    .option('--time-scale <factor>', 'with --trace: how many times faster than recorded (default: 10)', positiveNumber)
    .option(
      '--blocks-per-id <n>',
      'with --trace: blocks per 512-token id; 32 is the real number (default: 1)',
      wholeNumber(1, 32),
    )
    .addOption(
      new Option('--device-memory <size>', 'device memory of all ranks together')
        .argParser(sizeBytes)
        .default(256 * MIB, '256mb'),
    )
    .addOption(
      new Option('--pool-size <size>', "the server's pool, such as 512mb or 1.5gb (default: 1gb)").argParser(sizeBytes),
    )
    .option('--transitions', 'print every transition of every machine on standard error')
    .option(
      '--inspect [port]',
      'serve the live page at this port of the loopback interface, or at a free one, until Ctrl-C',
      wholeNumber(0, 65_535),
    )
    .option(
      '--record <file>',
      'write what the machines do to a file that `inspect --open` replays; one that is there is replaced',
    )
    .option('--json', 'print the report as one JSON object')
    .option('--otlp <url>', 'send traces and metrics of every process to an OTLP/HTTP collector', httpUrl)
    .option(
      '--metrics-port <port>',
      'serve Prometheus on the loopback until the run ends: the scheduler at this port, the ranks at those that follow, then the engine',
      wholeNumber(1, 65_535),
    )
    .action((serverFlags: string[], flags: DemoFlags) => runDemoCommand(flags, serverFlags));
}

async function runDemoCommand(flags: DemoFlags, serverFlags: readonly string[]): Promise<void> {
  const options = demoOptionsFrom(flags, serverFlags);
  if (options.telemetry !== null) await checkSdk(options.telemetry.otlpUrl);
  const [{ layoutOf, runDemo }, { DemoFeed }, { createProgressView }, { printReport }] = await Promise.all([
    import('../../demo/orchestrator.ts'),
    import('../../demo/demo-feed.ts'),
    import('../output/progress-view.ts'),
    import('../output/report-table.ts'),
  ]);
  const metricsPort = options.telemetry?.metricsPort ?? null;
  layoutOf(options);
  const feed = new DemoFeed();
  const page = flags.inspect === undefined ? null : await feed.serve(flags.inspect === true ? 0 : flags.inspect);
  if (metricsPort !== null) await checkMetricsPorts(metricsPort, options.ranks);
  // After whatever may refuse the run: a recording that is there is replaced.
  if (flags.record !== undefined) await feed.record(flags.record);
  const view = createProgressView(process.stderr, options);
  const interruption = interruptionSignal(() => view.note('stopping'));
  if (options.servedBy.kind === 'command') view.note(`device memory: ${options.device}`);
  if (options.servedBy.kind === 'endpoint') view.note(whatStays(options.seconds, options.requests));
  if (page !== null) view.note(`live page: ${page}`);
  if (metricsPort !== null) view.note(`metrics until the run ends: ${metricsPlaces(metricsPort, options.ranks)}`);
  try {
    const report = await runDemo(options, feed.between(view), interruption.signal);
    view.done();
    if (flags.json) printLine(process.stdout, JSON.stringify(report));
    else printReport(report, process.stdout);
    if (!report.ok) process.exitCode = EXIT_FAILED;
    if (page !== null) {
      printLine(process.stderr, `the live page stays at ${page} until Ctrl-C`);
      await aborted(interruption.signal);
    }
  } catch (error) {
    view.done();
    if (!(error instanceof InterruptedError)) throw error;
    printLine(process.stderr, 'interrupted');
    process.exitCode = EXIT_INTERRUPTED;
  } finally {
    interruption.dispose();
    await feed.close();
  }
}

function whatStays(seconds: number | null, requests: number | null): string {
  const until = [
    ...(seconds === null ? [] : [`${seconds} s are over`]),
    ...(requests === null ? [] : [`${requests} requests are answered`]),
    'Ctrl-C',
  ].join(' or ');
  return `until ${until}; what is saved stays in the server, under a namespace of its own, until it is evicted`;
}

/** @throws UsageError for what does not go together */
function servedByFrom(flags: DemoFlags, serverFlags: readonly string[]): ServedBy {
  const { server = 'engine', endpoint, seconds, serverLog, restarts, outageMs } = flags;
  if (serverFlags.length > 0 && !process.argv.includes('--')) {
    throw new UsageError(`unexpected argument "${serverFlags[0]}"; flags of the server come after "--"`);
  }
  if (endpoint === undefined) {
    if (seconds !== undefined) throw new UsageError('--seconds needs --endpoint');
    return ownServer(server, serverFlags);
  }
  const unfit = Object.entries({ '--server': flags.server, '--server-log': serverLog, '--restarts': restarts })
    .concat(Object.entries({ '--outage-ms': outageMs?.fromMs, 'flags after "--"': serverFlags[0] }))
    .find(([, value]) => value !== undefined);
  if (unfit !== undefined)
    throw new UsageError(`${unfit[0]} and --endpoint exclude each other: that server is not ours`);
  return { kind: 'endpoint', url: endpoint };
}

function demoOptionsFrom(flags: DemoFlags, serverFlags: readonly string[]): DemoOptions {
  const {
    server,
    serverLog = null,
    endpoint,
    seconds = null,
    device: askedDevice,
    restarts = DEFAULT_RESTARTS,
    requests: askedRequests,
    model,
    outageMs = DEFAULT_OUTAGE,
    deviceMemory,
    poolSize,
    trace,
    timeScale,
    blocksPerId,
    transitions = false,
    inspect,
    record,
    otlp = null,
    metricsPort = null,
    ...same
  } = flags;
  const servedBy = servedByFrom(flags, serverFlags);
  const device = deviceKindFor(askedDevice, servedBy.kind === 'engine' ? 'engine' : 'pegaflow-server');
  const requests = askedRequests ?? (servedBy.kind === 'endpoint' ? null : DEFAULT_REQUESTS);
  deviceDriverFor(device, same.ranks);
  if (trace === undefined && timeScale !== undefined) throw new UsageError('--time-scale needs --trace');
  if (trace === undefined && blocksPerId !== undefined) throw new UsageError('--blocks-per-id needs --trace');
  return {
    ...same,
    commandLine: fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url)),
    servedBy,
    serverLogPath: serverLog,
    seconds,
    device,
    restarts,
    requests,
    transitions,
    fed: inspect !== undefined || record !== undefined,
    telemetry: telemetryFrom(otlp, metricsPort, same.ranks, inspect),
    model: modelPreset(model),
    outage: outageMs,
    deviceMemoryBytes: deviceMemory,
    poolSizeBytes: poolSize ?? DEFAULT_POOL_SIZE_BYTES,
    isPoolSizeKnown: poolSize !== undefined || servedBy.kind !== 'endpoint',
    trace:
      trace === undefined
        ? null
        : { lines: readTrace(trace), scale: { timeScale: timeScale ?? 10, blocksPerId: blocksPerId ?? 1 } },
  };
}

function telemetryFrom(
  otlpUrl: string | null,
  metricsPort: number | null,
  ranks: number,
  inspect: number | true | undefined,
): DemoTelemetry | null {
  if (otlpUrl === null && metricsPort === null) return null;
  if (metricsPort !== null) {
    const lastPort = metricsPort + 1 + ranks;
    if (lastPort > 65_535) {
      throw new UsageError(`--metrics-port: ${ranks} ranks and the engine need ports above ${metricsPort}`);
    }
    if (typeof inspect === 'number' && inspect >= metricsPort && inspect <= lastPort) {
      throw new UsageError(`--inspect ${inspect} is one of the ports ${metricsPort} to ${lastPort} of --metrics-port`);
    }
  }
  const preload = new URL(`../host-telemetry${extname(import.meta.url)}`, import.meta.url).href;
  return { preload, otlpUrl, metricsPort };
}

/** Aborts at the first signal to end; the second ends this process at once, and with it, by their channels, its children. */
function interruptionSignal(onFirst: () => void): { readonly signal: AbortSignal; readonly dispose: () => void } {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    onFirst();
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, interrupt);
    },
  };
}
