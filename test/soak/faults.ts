/** What a soak does to a run: each fault with its own end, so that afterwards nothing hinders a recovery. */
import { setTimeout as pause } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { drawInteger } from '../../src/demo/random.ts';
import type { FaultPatch, MethodFault } from '../../src/engine/faults.ts';
import { CLEAR, type Direction, type NetworkCondition } from './network.ts';
import type { SoakProcesses } from './processes.ts';

/** What a fault is done to: two faults of one round never meet at the same. */
export type Touched = 'engine' | 'network' | 'switches' | 'host';

export interface SoakFault {
  readonly kind: string;
  readonly touches: Touched;
  /** How often it is drawn, against the others. */
  readonly weight: number;
  /** A process of the connector's side ends with it. */
  readonly replacesHost?: true;
  /** A request or an answer may be lost while the server lives: a transfer's budget may then be its only end. */
  readonly losesMessages?: true;
  /** Settles when it is over. */
  readonly run: (world: FaultWorld) => Promise<unknown>;
}

export interface FaultWorld {
  readonly processes: SoakProcesses;
  readonly instanceId: string;
  readonly ranks: number;
  readonly random: () => number;
}

/** Bound on one call of the admin interface, in milliseconds: its engine may be frozen or gone. */
const ADMIN_TIMEOUT_MS = 2_000;

export const SOAK_FAULTS: readonly SoakFault[] = [
  { kind: 'kill', touches: 'engine', weight: 5, run: (world) => restart(world, 'SIGKILL', draw(world, 0, 5_000)) },
  { kind: 'kill, back at once', touches: 'engine', weight: 3, run: (world) => restart(world, 'SIGKILL', 0) },
  { kind: 'double crash', touches: 'engine', weight: 3, run: doubleCrash },
  { kind: 'drain', touches: 'engine', weight: 3, run: (world) => restart(world, 'SIGINT', draw(world, 0, 2_000)) },
  { kind: 'crash, copies on', touches: 'engine', weight: 2, losesMessages: true, run: crashCopyingOn },
  { kind: 'freeze', touches: 'engine', weight: 4, losesMessages: true, run: (world) => freezeEngine(world, 10_000) },
  { kind: 'freeze, then kill', touches: 'engine', weight: 2, run: freezeThenKill },
  { kind: 'freeze, late copies', touches: 'engine', weight: 2, losesMessages: true, run: freezeWithCopies },
  { kind: 'rank paused', touches: 'host', weight: 2, run: pauseRank },
  { kind: 'scheduler paused', touches: 'host', weight: 2, run: pauseScheduler },
  { kind: 'rank killed', touches: 'host', weight: 3, replacesHost: true, run: killRank },
  { kind: 'scheduler killed', touches: 'host', weight: 3, replacesHost: true, run: killScheduler },
  { kind: 'links closed', touches: 'network', weight: 3, losesMessages: true, run: (world) => cut(world, 'close') },
  { kind: 'links reset', touches: 'network', weight: 3, losesMessages: true, run: (world) => cut(world, 'reset') },
  { kind: 'blackhole', touches: 'network', weight: 3, losesMessages: true, run: blackhole },
  { kind: 'slow network', touches: 'network', weight: 2, losesMessages: true, run: slowNetwork },
  { kind: 'sliced frames', touches: 'network', weight: 2, run: sliceFrames },
  { kind: 'cleanup, all', touches: 'switches', weight: 2, run: (world) => admin(world, '/instances/cleanup') },
  { kind: 'cleanup by id', touches: 'switches', weight: 2, run: cleanupById },
  { kind: 'memory cleanup', touches: 'switches', weight: 1, run: (world) => admin(world, '/cache/memory/cleanup') },
  { kind: 'slow calls', touches: 'switches', weight: 2, run: slowCalls },
  { kind: 'hung call', touches: 'switches', weight: 3, run: hangCalls },
  { kind: 'refused calls', touches: 'switches', weight: 3, run: refuseCalls },
  { kind: 'lost acknowledgement', touches: 'switches', weight: 3, losesMessages: true, run: loseAcknowledgement },
  { kind: 'slow copies', touches: 'switches', weight: 2, run: slowCopies },
  { kind: 'late visibility', touches: 'switches', weight: 1, run: lateVisibility },
  { kind: 'another version', touches: 'switches', weight: 1, run: changeVersion },
  { kind: 'answers Loading', touches: 'switches', weight: 1, run: answerLoading },
];

/** Undoes whatever a fault may have left at a living engine and at paused processes. */
export async function clearFaults(world: Pick<FaultWorld, 'processes'>): Promise<void> {
  world.processes.tellNetwork({ type: 'network', condition: CLEAR });
  await admin(world, '/faults', { method: 'DELETE' });
}

function draw({ random }: FaultWorld, from: number, to: number): number {
  return drawInteger(random, from, to);
}

function pick<Item>({ random }: FaultWorld, items: readonly [Item, ...Item[]]): Item {
  return items[drawInteger(random, 0, items.length - 1)] ?? items[0];
}

async function restart({ processes }: FaultWorld, signal: 'SIGKILL' | 'SIGINT', awayMs: number): Promise<void> {
  const back = pause(awayMs);
  await processes.endEngine(signal === 'SIGINT' ? 'graceful' : 'kill', (pid) => process.kill(pid, signal));
  await back;
  await processes.startEngine();
}

async function doubleCrash(world: FaultWorld): Promise<void> {
  await restart(world, 'SIGKILL', draw(world, 0, 500));
  await pause(draw(world, 0, 400));
  await restart(world, 'SIGKILL', draw(world, 0, 500));
}

async function crashCopyingOn(world: FaultWorld): Promise<void> {
  const { processes } = world;
  await switchOn(world, { copyAfterCloseMs: draw(world, 100, 2_000), copyDelayMs: 20 });
  await pause(100);
  const at = processes.admin;
  await processes.endEngine('kill', () => admin(world, '/faults', { body: { crash: true }, at }));
  await processes.startEngine();
}

async function freezeEngine(world: FaultWorld, longestMs: number): Promise<void> {
  await frozen(world.processes.enginePid, draw(world, 200, longestMs));
}

async function freezeThenKill(world: FaultWorld): Promise<void> {
  const pid = world.processes.enginePid;
  if (pid !== null) process.kill(pid, 'SIGSTOP');
  await pause(draw(world, 200, 4_000));
  await restart(world, 'SIGKILL', draw(world, 0, 1_000));
}

async function freezeWithCopies(world: FaultWorld): Promise<void> {
  await switchOn(world, { copyAfterThaw: true });
  await pause(draw(world, 50, 300));
  await freezeEngine(world, 6_000);
  await switchOn(world, { copyAfterThaw: null });
}

async function pauseRank(world: FaultWorld): Promise<void> {
  await frozen(world.processes.rankPids[draw(world, 0, world.ranks - 1)] ?? null, draw(world, 200, 5_000));
}

async function pauseScheduler(world: FaultWorld): Promise<void> {
  await frozen(world.processes.schedulerPid, draw(world, 200, 5_000));
}

async function frozen(pid: number | null, forMs: number): Promise<void> {
  if (pid === null) return;
  process.kill(pid, 'SIGSTOP');
  await pause(forMs);
  process.kill(pid, 'SIGCONT');
}

async function killRank(world: FaultWorld): Promise<void> {
  await world.processes.killRank(draw(world, 0, world.ranks - 1));
}

async function killScheduler(world: FaultWorld): Promise<void> {
  await world.processes.killScheduler();
  await pause(draw(world, 0, 2_000));
  world.processes.startScheduler();
}

async function cut(world: FaultWorld, how: 'close' | 'reset'): Promise<void> {
  world.processes.tellNetwork({ type: 'cut', how, share: pick(world, [0, 0.5, 1]) });
}

async function blackhole(world: FaultWorld): Promise<void> {
  const directions = pick<readonly Direction[]>(world, [['toServer'], ['toClient'], ['toServer', 'toClient']]);
  await inCondition(world, { ...CLEAR, blackhole: directions }, draw(world, 300, 8_000));
}

async function slowNetwork(world: FaultWorld): Promise<void> {
  const condition = { ...CLEAR, delayMs: draw(world, 20, 1_000), jitterMs: draw(world, 0, 1_000) };
  await inCondition(world, condition, draw(world, 1_000, 6_000));
}

async function sliceFrames(world: FaultWorld): Promise<void> {
  await inCondition(world, { ...CLEAR, sliceBytes: draw(world, 1, 40) }, draw(world, 1_000, 5_000));
}

async function inCondition({ processes }: FaultWorld, condition: NetworkCondition, forMs: number): Promise<void> {
  processes.tellNetwork({ type: 'network', condition });
  await pause(forMs);
  processes.tellNetwork({ type: 'network', condition: CLEAR });
}

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

async function switchOn(world: FaultWorld, patch: FaultPatch): Promise<void> {
  await admin(world, '/faults', { body: patch });
}

interface AdminCall {
  readonly method?: 'POST' | 'DELETE';
  readonly body?: object;
  /** `http://host:port`. Default: of the engine that runs now. */
  readonly at?: string | null;
}

/** One call of the admin interface, or of none: an engine that is frozen or gone has no switches to set. */
async function admin({ processes }: Pick<FaultWorld, 'processes'>, path: string, call: AdminCall = {}): Promise<void> {
  const { method = 'POST', body = {}, at = processes.admin } = call;
  const signal = AbortSignal.timeout(ADMIN_TIMEOUT_MS);
  await fetch(`${at}${path}`, { method, signal, body: JSON.stringify(body) }).catch(() => {});
}
