/**
 * The parent of a run: it starts the engine and the scheduler host, sends the requests, stops and starts the engine
 * under them, ends everything in order and looks for what was left behind.
 */

import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { sweepSharedMemory } from '../../native-bindings/index.ts';
import type { DeviceKind } from '../device-kind.ts';
import { wallTimeMs } from '../wall-time.ts';
import { Clients } from './clients.ts';
import { within } from './deadline.ts';
import { freePort } from './free-port.ts';
import type { DemoEvent } from './journal.ts';
import { countLeaks, type LeakCounts } from './leaks.ts';
import { type KvLayout, kvLayout } from './models.ts';
import type { DemoObserver } from './observer.ts';
import type { DemoOptions } from './options.ts';
import { DemoProcesses } from './processes.ts';
import { createRandom } from './random.ts';
import { type RunReport, reportOf } from './report.ts';
import { type PlannedRestart, planRestarts } from './restart-plan.ts';
import { InterruptedError, RunError } from './run-error.ts';
import { RunLog } from './run-log.ts';
import { traceWorkload } from './trace.ts';
import { chatWorkload, type DemoRequest, type Workload } from './workload.ts';

/** More GPU blocks than this bring nothing to the demo. */
const MAX_BLOCKS = 128;
/** Ranks of the demo that one core serves: on two cores a run of 16 ends well, one of 32 does not. */
const RANKS_PER_CORE = 8;
/** Mean time between the arrivals of generated chats, in milliseconds. */
const MEAN_GAP_MS = 60;

/** Bounds on what a run waits for, in milliseconds; all far above what a busy machine needs. */
const REGISTRATION_TIMEOUT_MS = 30_000;
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
  const { model, ranks, poolSizeBytes, device, telemetry } = options;
  const layout = layoutOf(options);
  sweepSharedMemory();
  const port = await freePort();
  const log = new RunLog(observer);
  const events: DemoEvent[] = [];
  log.onEvent((event) => events.push(event));
  const processes = new DemoProcesses(log, { port, poolSizeBytes, device, ranks, telemetry });
  const requestBlocks = new Map<string, readonly string[]>();
  const interrupt = () => log.fail(new InterruptedError('interrupted'));
  signal.addEventListener('abort', interrupt, { once: true });
  if (signal.aborted) interrupt();
  const startedAtMs = wallTimeMs();
  let complaint: string | null;
  try {
    await start(processes, { layout, port, device, transitions: options.transitions, fed: options.fed }, observer);
    await replay(options, { log, processes, layout, requestBlocks });
  } finally {
    complaint = await processes.end();
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
    poolSizeBytes,
    durationMs: wallTimeMs() - startedAtMs,
    leaks: await leaksOf(processes, port),
  });
}

interface Start {
  readonly layout: KvLayout;
  readonly port: number;
  readonly device: DeviceKind;
  readonly transitions: boolean;
  readonly fed: boolean;
}

async function start(
  processes: DemoProcesses,
  { layout, port, device, transitions, fed }: Start,
  observer: DemoObserver,
) {
  const server = {
    endpoint: `http://127.0.0.1:${port}`,
    instanceId: `demo-${randomUUID()}`,
    namespace: layout.model.name,
  };
  processes.startScheduler(
    { type: 'start', server, layout, device, transitions, fed, lostRank: 'fails', decodeMs: 0 },
    observer,
  );
  await processes.startEngine();
}

interface Replay {
  readonly log: RunLog;
  readonly processes: DemoProcesses;
  readonly layout: KvLayout;
  /** Filled with the keys of every request that is sent. */
  readonly requestBlocks: Map<string, readonly string[]>;
}

async function replay(options: DemoOptions, { log, processes, layout, requestBlocks }: Replay): Promise<void> {
  const connected = log.until(({ isConnected }) => isConnected);
  await limited(REGISTRATION_TIMEOUT_MS, 'the ranks did not register', connected, tooManyFor(options.ranks));
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
    for (const planned of planRestarts(options, createRandom(options.seed))) await restart(planned, log, processes);
    const remaining = Math.max(1, options.requests - log.progress.finished);
    const finished = log.until((progress) => progress.finished >= options.requests && progress.isConnected);
    await limited(remaining * REQUEST_TIMEOUT_MS, 'the requests did not finish', finished);
    await firstHit(log);
  } finally {
    clients.close();
  }
  const settled = log.until((progress) => progress.settled >= progress.arrived);
  await within(REQUEST_TIMEOUT_MS, settled, undefined);
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
  await processes.stopEngine(kind, outageMs);
  await log.orFailure(back);
  await processes.startEngine();
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
async function limited(limitMs: number, complaint: string, promise: Promise<void>, advice = ''): Promise<void> {
  const ended = await within(
    limitMs,
    promise.then(() => true),
    false,
  );
  if (!ended) throw new RunError(`${complaint} within ${limitMs} ms${advice}`);
}

/** The kernel takes a moment to close what the last process held. */
async function leaksOf({ identities }: DemoProcesses, port: number): Promise<LeakCounts> {
  const untilMs = wallTimeMs() + LEAK_TIMEOUT_MS;
  for (;;) {
    const leaks = countLeaks(identities, port);
    if (wallTimeMs() >= untilMs || Object.values(leaks).every((count) => count === 0)) return leaks;
    await pause(LEAK_POLL_INTERVAL_MS);
  }
}
