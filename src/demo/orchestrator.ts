/**
 * The parent of a run: it starts the server and the scheduler host, sends the requests, stops and starts the server
 * under them, ends everything in order and looks for what was left behind.
 */

import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { sweepSharedMemory } from '../../native-bindings/index.ts';
import type { DeviceKind } from '../device-kind.ts';
import { publicEndpoint } from '../redacted.ts';
import { wallTimeMs } from '../wall-time.ts';
import { within } from './deadline.ts';
import type { DemoEvent } from './journal.ts';
import { countLeaks, type LeakCounts } from './leaks.ts';
import { type KvLayout, kvLayout } from './model/models.ts';
import type { DemoObserver } from './observer.ts';
import type { DemoOptions } from './options.ts';
import { DemoProcesses } from './processes.ts';
import { type RunReport, reportOf } from './report/report.ts';
import { InterruptedError, RunError } from './run-error.ts';
import { RunLog } from './run-log.ts';
import { healthComplaint, serverOf } from './server/run-server.ts';
import { ServerLog } from './server/server-log.ts';
import { Clients } from './workload/clients.ts';
import { createRandom } from './workload/random.ts';
import { type PlannedRestart, planRestarts } from './workload/restart-plan.ts';
import { traceWorkload } from './workload/trace.ts';
import { chatWorkload, type DemoRequest, type Workload } from './workload/workload.ts';

/** More GPU blocks than this bring nothing to the demo. */
const MAX_BLOCKS = 128;
/** Ranks of the demo that one core serves: on two cores a run of 16 ends well, one of 32 does not. */
const RANKS_PER_CORE = 8;
/** Mean time between the arrivals of generated chats, in milliseconds. */
const MEAN_GAP_MS = 60;

/** Bounds on what a run waits for, in milliseconds; all far above what a busy machine needs. */
const REGISTRATION_TIMEOUT_MS = 120_000;
const REQUEST_TIMEOUT_MS = 12_000;
const FIRST_HIT_TIMEOUT_MS = 10_000;
const IN_FLIGHT_TIMEOUT_MS = 1_000;
const LEAK_TIMEOUT_MS = 3_000;
const LEAK_POLL_INTERVAL_MS = 20;

/** The geometry of a run. Throws a UsageError where these options have none. */
export function layoutOf({ model, ranks, deviceMemoryBytes }: DemoOptions): KvLayout {
  return kvLayout({ model, ranks, deviceMemoryBytes, maxBlocks: MAX_BLOCKS });
}

/**
 * Runs the demo to its end. Rejects with {@link RunError} when it cannot go on, and with {@link InterruptedError} when
 * `signal` aborts; whichever way it ends, nothing of it runs any more.
 */
export async function runDemo(options: DemoOptions, observer: DemoObserver, signal: AbortSignal): Promise<RunReport> {
  const { servedBy, serverLogPath, model, ranks, poolSizeBytes, telemetry } = options;
  const layout = layoutOf(options);
  const serverLog = new ServerLog(serverLogPath);
  sweepSharedMemory();
  const server = servedBy.kind === 'endpoint' ? null : await serverOf(servedBy, options, serverLog);
  const endpoint = servedBy.kind === 'endpoint' ? servedBy.url : `http://127.0.0.1:${server?.port}`;
  const log = new RunLog(observer);
  const events: DemoEvent[] = [];
  log.onEvent((event) => events.push(event));
  const processes = new DemoProcesses(log, { server, telemetry });
  const requestBlocks = new Map<string, readonly string[]>();
  const interruption = Promise.withResolvers<void>();
  const interrupt = () => {
    if (server === null && log.progress.isStarted) interruption.resolve();
    else log.fail(new InterruptedError('interrupted'));
  };
  signal.addEventListener('abort', interrupt, { once: true });
  if (signal.aborted) interrupt();
  const startedAtMs = wallTimeMs();
  let complaint: string | null;
  try {
    if (server === null) await demandAnswer(endpoint);
    const namespace = server === null ? `demo-${randomUUID()}` : layout.model.name;
    startScheduler(processes, { ...options, layout, endpoint, namespace }, observer);
    if (server !== null) await processes.startServer();
    await replay(options, { log, processes, layout, requestBlocks, interrupted: interruption.promise });
  } finally {
    complaint = await processes.end();
    serverLog[Symbol.dispose]();
    // A rank that was killed could not take its memory along.
    if (complaint !== null) sweepSharedMemory();
    signal.removeEventListener('abort', interrupt);
  }
  if (complaint !== null) throw new RunError(complaint);
  return reportOf({
    events,
    requestBlocks,
    ranks,
    ranksShareBlocks: model.attention === 'mla',
    blockBytesStored: layout.blockBytesStored,
    poolSizeBytes: options.isPoolSizeKnown ? poolSizeBytes : null,
    isServerForeign: server === null,
    serverLog: server === null ? null : serverLog.report(),
    durationMs: wallTimeMs() - startedAtMs,
    leaks: await leaksOf(processes, server?.port ?? null),
  });
}

async function demandAnswer(endpoint: string): Promise<void> {
  const complaint = await healthComplaint(endpoint);
  if (complaint !== null)
    throw new RunError(`no pegaflow-server answers at ${publicEndpoint(endpoint)} (${complaint}); start it first`);
}

interface Start {
  readonly layout: KvLayout;
  readonly endpoint: string;
  readonly namespace: string;
  readonly device: DeviceKind;
  readonly transitions: boolean;
  readonly fed: boolean;
}

function startScheduler(
  processes: DemoProcesses,
  { layout, endpoint, namespace, device, transitions, fed }: Start,
  observer: DemoObserver,
): void {
  const server = { endpoint, instanceId: `demo-${randomUUID()}`, namespace };
  processes.startScheduler({ type: 'start', server, layout, device, transitions, fed }, observer);
}

interface Replay {
  readonly log: RunLog;
  readonly processes: DemoProcesses;
  /** Settles when the user has had enough of a run without restarts of its own. */
  readonly interrupted: Promise<void>;
  readonly layout: KvLayout;
  /** Filled with the keys of every request that is sent. */
  readonly requestBlocks: Map<string, readonly string[]>;
}

async function replay(options: DemoOptions, replay: Replay): Promise<void> {
  const { log, processes, layout, requestBlocks } = replay;
  await firstRegistration(options, log);
  const clients = new Clients({
    workload: workloadOf(options, layout),
    concurrency: options.concurrency,
    maxBlocks: layout.numBlocks,
    send: ({ requestId, blockHashes }: DemoRequest) => {
      requestBlocks.set(
        requestId,
        blockHashes.map((hash) => Buffer.from(hash).toString('hex')),
      );
      processes.send({ type: 'request', requestId, blockHashes });
    },
  });
  log.onEvent(({ type }) => {
    if (type === 'request.finished') clients.answered();
  });
  try {
    if (options.servedBy.kind === 'endpoint') await watched(options, replay);
    else await restarted(options, log, processes);
  } finally {
    clients.close();
  }
  const settled = log.until((progress) => progress.settled >= progress.arrived);
  await within(REQUEST_TIMEOUT_MS, settled, undefined);
}

/** The first registration decides whether these connectors and this server can work together at all. */
async function firstRegistration({ ranks, servedBy }: DemoOptions, log: RunLog): Promise<void> {
  const decided = log.until(({ isConnected, isIncompatible }) => isConnected || isIncompatible);
  const complaint = () => {
    const fault = log.progress.fault;
    return `the ranks did not register${fault === null ? '' : ` (${fault})`}`;
  };
  await limited(REGISTRATION_TIMEOUT_MS, complaint, decided, tooManyFor(ranks));
  if (!log.progress.isIncompatible) return;
  const other = servedBy.kind === 'engine' ? '--server-version' : 'another server';
  throw new RunError(`the connectors do not work with this server: ${log.progress.fault}; try ${other}`);
}

async function restarted(options: DemoOptions, log: RunLog, processes: DemoProcesses): Promise<void> {
  const requests = options.requests ?? 0;
  for (const planned of planRestarts({ ...options, requests }, createRandom(options.seed))) {
    await restart(planned, log, processes);
  }
  const remaining = Math.max(1, requests - log.progress.finished);
  const finished = log.until((progress) => progress.finished >= requests && progress.isConnected);
  await limited(remaining * REQUEST_TIMEOUT_MS, 'the requests did not finish', finished);
  await firstHit(log);
}

/** Until the time is up, the requests are answered, or the user ends it. */
async function watched({ requests, seconds }: DemoOptions, { log, interrupted }: Replay): Promise<void> {
  const ends = [interrupted];
  if (requests !== null) ends.push(log.until(({ finished }) => finished >= requests));
  const timer = new AbortController();
  if (seconds !== null) ends.push(pause(seconds * 1_000, undefined, { signal: timer.signal }));
  try {
    await log.orFailure(Promise.race(ends));
  } finally {
    timer.abort();
  }
}

function workloadOf({ seed, trace }: DemoOptions, { model }: KvLayout): Workload {
  return trace === null
    ? chatWorkload({ seed, blockSizeTokens: model.blockSizeTokens, meanGapMs: MEAN_GAP_MS })
    : traceWorkload(trace.lines, trace.scale);
}

/** One restart, under traffic: after the one before is over and its cache was seen to work. */
async function restart(
  { kind, outageMs, afterRequests, moment }: PlannedRestart,
  log: RunLog,
  processes: DemoProcesses,
) {
  const from = log.progress.finished;
  const recovered = log.until(({ finished, isConnected }) => isConnected && finished >= from + afterRequests);
  const limitMs = REGISTRATION_TIMEOUT_MS + afterRequests * REQUEST_TIMEOUT_MS;
  await limited(limitMs, 'the scheduler did not recover', recovered);
  await firstHit(log);
  if (moment === 'load in flight') {
    const inFlight = log.until(({ loadsInFlight }) => loadsInFlight.size > 0);
    await within(IN_FLIGHT_TIMEOUT_MS, inFlight, undefined);
  } else {
    await log.orFailure(pause(moment, undefined, { ref: false }));
  }
  const back = pause(outageMs, undefined, { ref: false });
  await processes.stopServer(kind, outageMs);
  await log.orFailure(back);
  await processes.startServer();
}

/** A workload without common prefixes has none: not an error, but not worth a longer wait. */
async function firstHit(log: RunLog): Promise<void> {
  const hit = log.until(({ hasHitSinceConnected }) => hasHitSinceConnected);
  await within(FIRST_HIT_TIMEOUT_MS, hit, undefined);
}

/** What to do about ranks that may be too many for this machine: each is a process to start. */
function tooManyFor(ranks: number): string {
  const cores = availableParallelism();
  return ranks > cores * RANKS_PER_CORE ? `: ${ranks} processes are many for ${cores} cores, try fewer --ranks` : '';
}

/** The promise, or a {@link RunError} once `limitMs` milliseconds have passed. */
async function limited(
  limitMs: number,
  complaint: string | (() => string),
  promise: Promise<void>,
  advice = '',
): Promise<void> {
  const ended = await within(
    limitMs,
    promise.then(() => true),
    false,
  );
  if (ended) return;
  throw new RunError(`${typeof complaint === 'string' ? complaint : complaint()} within ${limitMs} ms${advice}`);
}

/** The kernel takes a moment to close what the last process held. */
async function leaksOf({ identities }: DemoProcesses, port: number | null): Promise<LeakCounts> {
  const untilMs = wallTimeMs() + LEAK_TIMEOUT_MS;
  for (;;) {
    const leaks = countLeaks(identities, port);
    if (wallTimeMs() >= untilMs || Object.values(leaks).every((count) => count === 0)) return leaks;
    await pause(LEAK_POLL_INTERVAL_MS);
  }
}
