/**
 * A soak: real processes under traffic with every byte verified, and round after round of random faults. A round ends
 * when its faults are over and the cache is hit again; a run ends early where that does not happen in time.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { sweepSharedMemory } from '../../native-bindings/index.ts';
import { within } from '../../src/demo/deadline.ts';
import type { DemoEvent } from '../../src/demo/journal.ts';
import { countLeaks, type LeakCounts } from '../../src/demo/leaks.ts';
import { kvLayout, type ModelPreset } from '../../src/demo/model/models.ts';
import { InterruptedError } from '../../src/demo/run-error.ts';
import { RunLog } from '../../src/demo/run-log.ts';
import { freePort } from '../../src/demo/server/free-port.ts';
import { Clients } from '../../src/demo/workload/clients.ts';
import { createRandom } from '../../src/demo/workload/random.ts';
import { chatWorkload } from '../../src/demo/workload/workload.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { CallLedger, type CallLimits } from './call-ledger.ts';
import { GrowthRecorder } from './process-growth.ts';
import { SoakProcesses } from './processes.ts';
import { type Round, type Running, restoreSight, roundText, runRound, untilServing } from './round.ts';
import { drawRound } from './round-plan.ts';
import { type SoakSummary, summaryOf } from './summary.ts';
import { TrafficTotals } from './traffic-totals.ts';

export interface SoakOptions {
  readonly minutes: number;
  /** Decides chats and faults; the moments follow from how fast the machine is. */
  readonly seed: number;
}

/** Sees a soak as it goes. */
export interface SoakObserver {
  /** A line that is true now. */
  state(text: string): void;
  /** Something to be kept: a round, a defect. */
  note(text: string): void;
}

/** Small blocks: a soak wants many requests, not many bytes. */
const SOAK_MODEL: ModelPreset = {
  name: 'soak',
  attention: 'gqa',
  layers: 4,
  kvHeads: 2,
  headSize: 64,
  dtype: 'bfloat16',
  dtypeBytes: 2,
  blockSizeTokens: 16,
};
const RANKS = 2;
/** Many: a quarter of them may be held before nothing hits any more. */
const NUM_BLOCKS = 2_048;
/** So small that blocks are evicted. */
const POOL_SIZE_BYTES = 48 << 20;
const DEVICE_MEMORY_BYTES = 128 << 20;
const CONCURRENCY = 32;
/** Mean time between arrivals, in milliseconds. */
const MEAN_GAP_MS = 60;

/**
 * The connector's budget of a query, 2 s, and what a soak adds to it: its longest pause of a process, 5 s, and a busy
 * machine. A load or a hold ends with the proof of it, which comes with the server's thaw, its death or its new registration.
 */
const LIMITS_MS: CallLimits = { query: 12_000, load: 45_000, hold: 45_000, request: 90_000 };

const START_LIMIT_MS = 60_000;
const SAMPLE_INTERVAL_MS = 2_000;
const STATE_INTERVAL_MS = 500;
const LONGEST_CALM_MS = 2_500;
const LEAK_LIMIT_MS = 5_000;
/** In the second part of a run the connector's processes are left alone, so that their growth can be seen. */
const HOST_FAULTS_SHARE = 0.5;
/** So many rounds in a row the connector's processes may see no server. */
const MAX_BLIND_ROUNDS = 3;

export async function runSoak(
  { minutes, seed }: SoakOptions,
  observer: SoakObserver,
  signal: AbortSignal,
): Promise<SoakSummary> {
  const layout = kvLayout({
    model: SOAK_MODEL,
    ranks: RANKS,
    deviceMemoryBytes: DEVICE_MEMORY_BYTES,
    maxBlocks: NUM_BLOCKS,
  });
  sweepSharedMemory();
  const port = await freePort();
  const instanceId = `soak-${randomUUID()}`;
  const server = { endpoint: `http://127.0.0.1:${port}`, instanceId, namespace: SOAK_MODEL.name };
  const startedAtMs = wallTimeMs();
  const defects: string[] = [];
  const rounds: Round[] = [];
  const elapsed = () => `${((wallTimeMs() - startedAtMs) / 1_000).toFixed(1)} s`;
  const report = (defect: string) => {
    defects.push(`${elapsed()}: ${defect} (round ${rounds.length + 1})`);
    observer.note(`${elapsed()}  DEFECT: ${defect}`);
  };

  const calls = new CallLedger(LIMITS_MS, report);
  const traffic = new TrafficTotals(report);
  const growth = new GrowthRecorder();
  // Whatever is forked inherits them, and so do its own children.
  process.execArgv.push(...growth.execArgv);
  const log = new RunLog({ event: () => {} });
  log.onEvent((event) => {
    calls.isUnprovable = processes.isBlind;
    calls.observe(event);
  });
  log.onEvent((event) => traffic.observe(event));
  const processes = new SoakProcesses(
    log,
    { port, poolSizeBytes: POOL_SIZE_BYTES },
    {
      type: 'start',
      server,
      layout,
      device: 'emulated',
      transitions: false,
      fed: false,
    },
  );
  const random = createRandom(seed);
  const world = { processes, instanceId, ranks: RANKS };
  const clients = new Clients({
    workload: chatWorkload({ seed, blockSizeTokens: SOAK_MODEL.blockSizeTokens, meanGapMs: MEAN_GAP_MS }),
    concurrency: CONCURRENCY,
    maxBlocks: layout.numBlocks,
    send: ({ requestId, blockHashes }) => processes.send({ type: 'request', requestId, blockHashes }),
  });
  log.onEvent((event) => {
    if (event.type === 'request.finished') clients.answered();
    if (!isEndOfHost(event)) return;
    for (const requestId of calls.abandon()) {
      traffic.abandon(requestId);
      clients.answered();
    }
  });
  const service: Running['service'] = { leftAtMs: null };
  log.onEvent(({ atMs }) => {
    if (!log.progress.isConnected) service.leftAtMs ??= atMs;
  });
  const running: Running = { world, log, traffic, service };
  const interrupt = () => log.fail(new InterruptedError('interrupted'));
  signal.addEventListener('abort', interrupt, { once: true });
  if (signal.aborted) interrupt();
  const timers = [
    setInterval(() => growth.sample(processes.pids), SAMPLE_INTERVAL_MS),
    setInterval(() => observer.state(`${elapsed()}  ${stateText(log, rounds, traffic)}`), STATE_INTERVAL_MS),
  ];

  try {
    await processes.startScheduler();
    await processes.startEngine();
    await untilServing(running, START_LIMIT_MS, 'the start');
    observer.note(`${elapsed()}  serving`);
    // A start takes as long as the machine is busy; the faults have all the minutes.
    const servingAtMs = wallTimeMs();
    const durationMs = minutes * 60_000;
    let blindRounds = 0;
    while (wallTimeMs() < servingAtMs + durationMs) {
      const mayReplaceHosts = wallTimeMs() < servingAtMs + durationMs * HOST_FAULTS_SHARE;
      if (processes.isBlind && (blindRounds >= MAX_BLIND_ROUNDS || !mayReplaceHosts)) await restoreSight(running);
      const plan = drawRound(random, { mayReplaceHosts });
      const round = await runRound(plan, running);
      rounds.push(round);
      observer.note(`${elapsed()}  ${roundText(round)}`);
      blindRounds = round.isBlind ? blindRounds + 1 : 0;
      await log.orFailure(pause(random() * LONGEST_CALM_MS));
    }
    if (processes.isBlind) await restoreSight(running);
    clients.close();
    await within(
      LIMITS_MS.request,
      log.until(() => calls.isEmpty),
      undefined,
    );
  } catch (error) {
    if (error instanceof InterruptedError) throw error;
    report(error instanceof Error ? error.message : String(error));
  } finally {
    clients.close();
    for (const timer of timers) clearInterval(timer);
    signal.removeEventListener('abort', interrupt);
    const complaint = await processes.end();
    if (complaint !== null) report(complaint);
    growth[Symbol.dispose]();
    sweepSharedMemory();
  }
  calls.close();
  return summaryOf({
    durationMs: wallTimeMs() - startedAtMs,
    seed,
    rounds,
    defects,
    calls,
    traffic,
    growth: growth.longest(),
    leaks: await leaksOf(processes, port),
  });
}

/** A host that was killed is told as its scheduler's state. */
function isEndOfHost(event: DemoEvent): boolean {
  return event.type === 'status.changed' && event.machine === 'scheduler' && event.path === 'killed';
}

function stateText({ progress }: RunLog, rounds: readonly Round[], traffic: TrafficTotals): string {
  const scheduler = progress.machines.get('scheduler')?.path ?? 'starting';
  return `${scheduler.padEnd(28)} rounds ${rounds.length}, ${traffic.text}`;
}

async function leaksOf({ identities }: SoakProcesses, port: number): Promise<LeakCounts> {
  const untilMs = wallTimeMs() + LEAK_LIMIT_MS;
  for (;;) {
    const leaks = countLeaks(identities, port);
    if (wallTimeMs() >= untilMs || Object.values(leaks).every((count) => count === 0)) return leaks;
    await pause(20);
  }
}
