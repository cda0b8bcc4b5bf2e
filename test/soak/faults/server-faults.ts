/** What a living server does of its own or at an operator's word. */
import { setTimeout as pause } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import type { FaultPatch, MethodFault } from '../../../src/engine/faults.ts';
import { admin, draw, type FaultWorld, pick, type SoakFault, switchOn } from './fault.ts';

export const SERVER_FAULTS: readonly SoakFault[] = [
  { kind: 'cleanup, all', touches: 'switches', weight: 2, run: (world) => admin(world, '/instances/cleanup') },
  { kind: 'cleanup by id', touches: 'switches', weight: 2, run: cleanupById },
  { kind: 'memory cleanup', touches: 'switches', weight: 1, run: (world) => admin(world, '/cache/memory/cleanup') },
  { kind: 'slow calls', touches: 'switches', weight: 2, run: slowCalls },
  { kind: 'hung call', touches: 'switches', weight: 3, run: hangCalls },
  { kind: 'refused calls', touches: 'switches', weight: 3, run: refuseCalls },
  { kind: 'lost acknowledgement', touches: 'switches', weight: 3, run: loseAcknowledgement },
  { kind: 'slow copies', touches: 'switches', weight: 2, run: slowCopies },
  { kind: 'late visibility', touches: 'switches', weight: 1, run: lateVisibility },
  { kind: 'another version', touches: 'switches', weight: 1, run: changeVersion },
  { kind: 'answers Loading', touches: 'switches', weight: 1, run: answerLoading },
];

async function cleanupById(world: FaultWorld): Promise<void> {
  await admin(world, `/instances/cleanup?id=${encodeURIComponent(world.instanceId)}`);
}

type Method = keyof NonNullable<FaultPatch['methods']>;

const REGISTERING: readonly Method[] = ['session', 'registerContextBatch', 'unregisterContext'];
const METHODS: readonly [Method, ...Method[]] = ['queryPrefetch', 'save', 'load', 'release', 'health', ...REGISTERING];

async function slowCalls(world: FaultWorld): Promise<void> {
  const method = pick(world, METHODS);
  await withMethod(world, method, { delayMs: draw(world, 50, 1_500) });
}

async function hangCalls(world: FaultWorld): Promise<void> {
  await withMethod(world, pick(world, METHODS), { hang: true });
}

/** What pegaflow-server may say at its worst moments; the last is a text that nobody knows. */
const REFUSALS: readonly [Refusal, ...Refusal[]] = [
  { code: Code.Internal, message: 'pinned pool exhausted' },
  { code: Code.Internal, message: 'query lease is unknown or expired' },
  { code: Code.FailedPrecondition, message: 'instance soak not found' },
  { code: Code.Unavailable, message: 'try again later' },
  { code: Code.Internal, message: 'the copy failed for a reason of its own' },
];
type Refusal = NonNullable<MethodFault['refuse']>;

async function refuseCalls(world: FaultWorld): Promise<void> {
  const method = pick(world, METHODS);
  await withMethod(world, method, { refuse: pick(world, REFUSALS), times: draw(world, 1, 5) });
}

async function loseAcknowledgement(world: FaultWorld): Promise<void> {
  await withMethod(world, pick(world, METHODS), { loseAck: true, times: draw(world, 1, 3) });
}

/** A fault of the way to register shows only in a registration: so one is brought about. */
async function withMethod(world: FaultWorld, method: Method, fault: MethodFault): Promise<void> {
  await switchOn(world, { methods: { [method]: fault } });
  if (REGISTERING.includes(method)) await cleanupById(world);
  await pause(draw(world, 500, 4_000));
  await switchOn(world, { methods: { [method]: null } });
}

async function slowCopies(world: FaultWorld): Promise<void> {
  await during(world, { copyDelayMs: draw(world, 5, 50) }, { copyDelayMs: null });
}

async function lateVisibility(world: FaultWorld): Promise<void> {
  await during(world, { insertDelayMs: draw(world, 50, 1_000) }, { insertDelayMs: null });
}

async function answerLoading(world: FaultWorld): Promise<void> {
  await during(world, { answerLoading: draw(world, 1, 20) }, { answerLoading: null });
}

async function changeVersion(world: FaultWorld): Promise<void> {
  await switchOn(world, { version: '0.0.1' });
  await cleanupById(world);
  await pause(draw(world, 500, 4_000));
  await switchOn(world, { version: null });
}

async function during(world: FaultWorld, on: FaultPatch, off: FaultPatch): Promise<void> {
  await switchOn(world, on);
  await pause(draw(world, 500, 4_000));
  await switchOn(world, off);
}
