import type { SchedulerConnectorOptions } from '../../src/connector/index.ts';
import type { FaultPatch } from '../../src/engine/faults.ts';
import { hashesOf } from './engine-rank.ts';
import type { ServerProcess } from './server-process.ts';
import { ask } from './story.ts';
import type { TcpProxy } from './tcp-proxy.ts';
import type { TestInstance } from './test-instance.ts';
import { eventually } from './within.ts';

export interface Stage {
  readonly engine: ServerProcess;
  /** Before the engine, for the instances whose links pass through it. */
  readonly proxy: TcpProxy;
  /** In service. */
  readonly instance: TestInstance;
}

/** A state of the scheduler's machine, and what keeps a real instance in it until the fault is lifted. */
export interface HeldState {
  /** Beginning of the path. */
  readonly path: string;
  readonly budgets?: SchedulerConnectorOptions['budgets'];
  readonly isPushed?: boolean;
  /** The fault is one of the network. Default false: the links go to the engine itself. */
  readonly isProxied?: boolean;
  /** What is reached in the end is `path`. */
  readonly hold: (stage: Stage) => Promise<void>;
}

const LONG_MS = 60_000;

async function loseRegistration(stage: Stage): Promise<void> {
  await loseRegistrationThen(stage, {});
}

/** What goes wrong begins after the loss, which itself may need what goes wrong. */
async function loseRegistrationThen({ engine, instance }: Stage, patch: FaultPatch): Promise<void> {
  await engine.http('POST', '/instances/cleanup');
  await engine.fault(patch);
  await ask(instance);
}

async function keepRanksBusy({ engine, instance }: Stage): Promise<void> {
  const blockHashes = hashesOf(1, 'busy');
  await instance.save('saves', [0], blockHashes);
  await instance.hit('loads', blockHashes);
  await engine.fault({ copyDelayMs: LONG_MS });
  const accepted = await engine.rpcCount('load');
  instance.scheduler.scheduleLoad('loads', [1]);
  instance.step();
  await eventually('the loads to be accepted', async () =>
    (await engine.rpcCount('load')) >= accepted + instance.workers.length ? true : null,
  );
}

const hang = (method: string) => ({ methods: { [method]: { hang: true } } });

/** Every state between the loss of a registration and its return, and those in which an instance waits. */
export const heldStates: readonly HeldState[] = [
  {
    path: 'reconnecting.dialing',
    isProxied: true,
    budgets: { dialTimeoutMs: LONG_MS },
    hold: async ({ proxy }) => {
      proxy.door = 'silent';
      proxy.cut();
    },
  },
  {
    path: 'reRegistering.openingSession',
    isProxied: true,
    budgets: { sessionTimeoutMs: LONG_MS },
    hold: async ({ engine, proxy }) => {
      await engine.fault(hang('session'));
      proxy.cut();
    },
  },
  {
    path: 'reRegistering.surveying',
    isProxied: true,
    budgets: { pingIntervalMs: 50, pingTimeoutMs: 1_000, surveyTimeoutMs: LONG_MS },
    hold: async ({ engine, proxy }) => {
      await engine.fault(hang('queryPrefetch'));
      proxy.strand();
    },
  },
  {
    path: 'reRegistering.quiescing',
    budgets: { quiesceTimeoutMs: LONG_MS },
    hold: async (stage) => {
      await keepRanksBusy(stage);
      await loseRegistration(stage);
    },
  },
  {
    path: 'reRegistering.clearing.stalled',
    budgets: { stalledAfterMs: 20 },
    hold: async (stage) => {
      await loseRegistrationThen(stage, hang('unregisterContext'));
    },
  },
  {
    path: 'reRegistering.spreading',
    budgets: { spreadMaxMs: LONG_MS },
    hold: async (stage) => {
      await loseRegistrationThen(stage, { methods: { unregisterContext: { delayMs: 1_000, times: 1 } } });
    },
  },
  { path: 'reRegistering.announcing', isPushed: false, hold: loseRegistration },
  {
    path: 'reRegistering.sealing.stalled',
    budgets: { stalledAfterMs: 20 },
    hold: async (stage) => {
      await loseRegistrationThen(stage, hang('registerContextBatch'));
    },
  },
  {
    path: 'reRegistering.readingBack',
    budgets: { surveyTimeoutMs: LONG_MS },
    hold: async (stage) => {
      await loseRegistrationThen(stage, hang('registerContextBatch'));
      await stage.instance.at('reRegistering.sealing');
      await stage.engine.fault({ methods: { registerContextBatch: null, queryPrefetch: { hang: true } } });
    },
  },
  {
    path: 'reRegistering.backingOff',
    budgets: { voidBackoffFirstMs: LONG_MS, voidBackoffMaxMs: LONG_MS },
    hold: loseRegistration,
  },
  {
    path: 'incompatible.waiting',
    budgets: { versionProbeIntervalMs: LONG_MS },
    hold: async (stage) => {
      await loseRegistrationThen(stage, { version: '0.24.0' });
    },
  },
  {
    path: 'incompatible.probing',
    budgets: { versionProbeIntervalMs: 20, surveyTimeoutMs: LONG_MS },
    hold: async (stage) => {
      await loseRegistrationThen(stage, { version: '0.24.0', ...hang('health') });
    },
  },
  {
    path: 'degraded.surveying',
    budgets: { queryTimeoutMs: 50, surveyTimeoutMs: LONG_MS },
    hold: async ({ engine, instance }) => {
      await engine.fault(hang('queryPrefetch'));
      await ask(instance);
    },
  },
  {
    path: 'degraded.unanswered',
    budgets: { queryTimeoutMs: 50, surveyTimeoutMs: 100, voidBackoffFirstMs: LONG_MS, voidBackoffMaxMs: LONG_MS },
    hold: async ({ engine, instance }) => {
      await engine.fault(hang('queryPrefetch'));
      await ask(instance);
    },
  },
  {
    path: 'reRegistering.parked',
    budgets: { voidBackoffFirstMs: 10, voidBackoffMaxMs: 10, parkedFirstMs: LONG_MS, parkedMaxMs: LONG_MS },
    hold: async (stage) => {
      const refuse = { code: 3, message: 'no such layer' };
      await loseRegistrationThen(stage, { methods: { registerContextBatch: { refuse } } });
    },
  },
  {
    path: 'degraded.draining',
    budgets: { drainTimeoutMs: LONG_MS },
    hold: async (stage) => {
      await keepRanksBusy(stage);
      stage.engine.signal('SIGINT');
    },
  },
  {
    path: 'drained.sessionReleased',
    budgets: { drainedTimeoutMs: LONG_MS },
    hold: ({ instance }) => instance.scheduler.drain(),
  },
  {
    path: 'connected.auditing',
    budgets: { auditFirstMs: 1_000, surveyTimeoutMs: LONG_MS },
    hold: async ({ engine }) => engine.fault(hang('queryPrefetch')),
  },
];

/**
 * States that are over as soon as something answers, or that hold what another one here holds as well, or that wait for a rank
 * (`attendance.test.ts` has those).
 */
export const passingStates = [
  'connected.unaudited',
  'connected.serving',
  'degraded.assessing',
  'degraded.missingRank',
  'reconnecting.waiting',
  'reRegistering.awaitingRanks',
  'reRegistering.clearing.waiting',
  'reRegistering.proving',
  'reRegistering.sealing.waiting',
  'reRegistering.failed',
  'drained.quiescing',
  'stopping.stoppingRanks',
  'stopping.unregistering',
  'stopped',
];

/** Budgets under which nothing but the fault ends the state. */
export const patientBudgets = { auditFirstMs: LONG_MS, transferStalledAfterMs: LONG_MS } as const;
