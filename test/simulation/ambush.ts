import type { RpcMethod } from '../../src/engine/faults.ts';
import type { MachineName } from './coverage.ts';
import { drainByHost, resumeByHost } from './host-commands.ts';
import type { Random } from './random.ts';
import { refusalOf } from './refusals.ts';
import { replaceRank, replaceScheduler, stopReplica } from './replacements.ts';
import type { Replica, World } from './world.ts';

/** Where something is to happen, and what the way there may be disturbed with. */
interface Scene {
  readonly world: World;
  readonly random: Random;
  readonly instanceId: string;
  /** How long the state is held, in milliseconds. */
  readonly holdMs: number;
}

/** Leads a machine to a state, and makes it stay there for a while. */
type Lure = (scene: Scene) => void;

const replicaIn = ({ world, instanceId }: Scene): Replica => world.replicaOf(instanceId);

const all =
  (...lures: readonly Lure[]): Lure =>
  (scene) => {
    for (const lure of lures) lure(scene);
  };

/** Calls of that method hang, are slow, or are slow and refused in the end. */
const hold =
  (method: RpcMethod): Lure =>
  ({ world: { server, later }, random, holdMs }) => {
    const refuse = refusalOf(method, random);
    const fault = random.pick([{ hang: true }, { hang: true }, { delayMs: holdMs }, { delayMs: holdMs, refuse }]);
    server.faults.merge({ methods: { [method]: fault } });
    later(holdMs, () => server.faults.merge({ methods: { [method]: null } }));
  };

/** One call of that method is slow. */
const slow =
  (method: RpcMethod): Lure =>
  ({ world: { server }, random }) =>
    server.faults.merge({ methods: { [method]: { delayMs: random.between(60, 900), times: 1 } } });

const either =
  (...lures: readonly Lure[]): Lure =>
  (scene) =>
    scene.random.pick(lures)(scene);

/** Registers are held up, or one alone, so that what follows overtakes it. */
const holdRegister = either(hold('registerContextBatch'), slow('registerContextBatch'));

/** The same, held longer by so many milliseconds. */
const longer =
  (byMs: number, lure: Lure): Lure =>
  ({ holdMs, ...scene }) =>
    lure({ ...scene, holdMs: holdMs + byMs });

const refuse =
  (method: RpcMethod): Lure =>
  ({ world: { server }, random }) =>
    server.faults.merge({ methods: { [method]: { refuse: refusalOf(method, random), times: random.int(3, 6) } } });

/** Once that state is reached on the way. */
const once =
  (machine: MachineName, path: string, lure: Lure): Lure =>
  (scene) =>
    scene.world.whenIn(scene.instanceId, machine, path, () => lure(scene));

const resetScheduler: Lure = (scene) => {
  const { schedulerProcess } = replicaIn(scene).instance;
  for (const connection of scene.world.kernel.connections) {
    if (connection.client === schedulerProcess) connection.reset();
  }
};

const resetRank: Lure = (scene) => {
  const { process } = scene.random.pick(replicaIn(scene).instance.ranks) ?? {};
  for (const connection of scene.world.kernel.connections) if (connection.client === process) connection.reset();
};

const endSession: Lure = ({ world: { kernel, server } }) => {
  for (const connection of kernel.connections) server.post(() => server.endSession(connection));
};

const cleanup: Lure = ({ world: { server }, instanceId }) =>
  server.post(() => void server.engine.registrations.cleanupInstance(instanceId));

const goAway: Lure = ({ world, random }) => {
  const { server } = world;
  server.process.atExit.push(() => world.later(random.between(0, 300), () => world.ensureServer()));
  server.post(() => server.drain(random.pick([500, 8_000, 60_000])));
};

const kill: Lure = ({ world, random }) => {
  world.server.kill(random.chance(0.5) ? 0 : random.between(1, 200));
  world.later(random.between(0, 600), () => world.ensureServer());
};

const dropSyns: Lure = ({ world: { kernel, later }, holdMs }) => {
  kernel.isBlackholed = true;
  later(holdMs, () => {
    kernel.isBlackholed = false;
  });
};

const otherVersion: Lure = ({ world: { later, server }, holdMs }) => {
  server.faults.merge({ version: '99.0.0' });
  later(holdMs, () => server.faults.merge({ version: null }));
};

const failCopies: Lure = ({ world: { server }, random }) => {
  server.copyTrouble.failingWrites = random.int(1, 4);
};

const slowCopies: Lure = ({ world: { server }, random }) =>
  server.faults.merge({ copyDelayMs: random.between(100, 900) });

const noRequests: Lure = (scene) => {
  replicaIn(scene).host.arrivalChance = 0;
};

const stop: Lure = (scene) => stopReplica(scene.world, replicaIn(scene));
const drain: Lure = (scene) => drainByHost(scene.world, replicaIn(scene));
const resume: Lure = (scene) => resumeByHost(scene.world, replicaIn(scene));

const busy = all(slowCopies, hold('save'));

const schedulerLures: Readonly<Record<string, Lure>> = {
  'connected.unaudited': resetScheduler,
  'connected.auditing': all(
    noRequests,
    resetScheduler,
    once('scheduler', 'connected.unaudited', longer(1_500, hold('queryPrefetch'))),
  ),
  'connected.serving': () => {},
  'degraded.surveying': hold('queryPrefetch'),
  'degraded.missingRank': all(dropSyns, resetRank),
  'degraded.draining': all(longer(3_000, busy), goAway),
  'reconnecting.dialing': all(dropSyns, resetScheduler),
  'reconnecting.waiting': all(dropSyns, resetScheduler),
  'reRegistering.openingSession': all(hold('session'), resetScheduler),
  'reRegistering.surveying': all(hold('queryPrefetch'), resetScheduler),
  'reRegistering.quiescing': all(busy, cleanup),
  'reRegistering.clearing.waiting': all(hold('unregisterContext'), cleanup),
  'reRegistering.clearing.stalled': all(longer(6_000, hold('unregisterContext')), cleanup),
  'reRegistering.spreading': all(slow('unregisterContext'), cleanup),
  'reRegistering.announcing': cleanup,
  'reRegistering.sealing.waiting': all(holdRegister, cleanup),
  'reRegistering.sealing.stalled': all(longer(6_000, hold('registerContextBatch')), cleanup),
  'reRegistering.readingBack': all(once('scheduler', 'reRegistering.sealing.waiting', hold('queryPrefetch')), cleanup),
  'reRegistering.backingOff': all(refuse('registerContextBatch'), cleanup),
  'incompatible.waiting': all(otherVersion, cleanup),
  'incompatible.probing': all(
    longer(12_000, otherVersion),
    cleanup,
    once('scheduler', 'incompatible.waiting', longer(6_000, hold('registerContextBatch'))),
  ),
  'drained.quiescing': all(longer(4_000, busy), drain),
  'drained.sessionReleased': drain,
  'stopping.stoppingRanks': all(busy, stop),
  'stopping.unregistering': all(hold('unregisterContext'), stop),
};

const workerLures: Readonly<Record<string, Lure>> = {
  connected: () => {},
  'degraded.verifying': all(hold('save'), resetRank),
  'degraded.draining': all(longer(3_000, busy), goAway),
  'reconnecting.dialing': all(dropSyns, resetRank),
  'reconnecting.waiting': all(dropSyns, resetRank),
  'reRegistering.waiting': all(hold('unregisterContext'), cleanup),
  'reRegistering.registering.waiting': all(holdRegister, cleanup),
  'reRegistering.registering.stalled': all(longer(6_000, hold('registerContextBatch')), cleanup),
  'reRegistering.registering.stopping': all(
    hold('registerContextBatch'),
    cleanup,
    once('worker', 'reRegistering.registering.waiting', stop),
  ),
  'reRegistering.verifying': all(hold('save'), resetScheduler),
  incompatible: all(otherVersion, cleanup),
  stopping: all(busy, stop),
};

const lures = { scheduler: schedulerLures, worker: workerLures };

/** What happens there. */
const deeds: readonly Lure[] = [
  stop,
  stop,
  drain,
  drain,
  resume,
  resetScheduler,
  resetScheduler,
  resetRank,
  endSession,
  endSession,
  goAway,
  goAway,
  kill,
  cleanup,
  failCopies,
  refuse('queryPrefetch'),
  (scene) => replaceRank(scene.world, replicaIn(scene), scene.random),
  (scene) => replaceScheduler(scene.world, replicaIn(scene)),
];

/** Leads one machine of the replica to a state, holds it there if it can, and lets something happen at that moment. */
export function ambush(world: World, { instance }: Replica, machine: MachineName, random: Random): void {
  const holdMs = random.pick([
    random.between(20, 600),
    random.between(600, 4_000),
    random.between(5_200, 7_000),
    11_500,
  ]);
  const scene: Scene = { world, random, instanceId: instance.shape.instanceId, holdMs };
  const [path, lure] = random.pick(Object.entries(lures[machine]));
  if (random.chance(0.3)) failCopies(scene);
  lure(scene);
  world.whenIn(scene.instanceId, machine, path, () => {
    world.kernel.journal.write('director', `the ${machine} is in ${path}`);
    const waitMs = random.pick([0, 0, random.between(0, 40), random.between(0, holdMs)]);
    for (let i = random.int(1, 2); i > 0; i--) {
      const deed = random.pick(deeds);
      world.later(waitMs * i, () => deed(scene));
    }
  });
}
