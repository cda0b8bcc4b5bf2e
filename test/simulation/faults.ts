import { Code } from '@connectrpc/connect';
import { storageOffsetFault, testedServerVersions } from '../../machines/index.ts';
import type { MethodFault, RpcMethod } from '../../src/engine/faults.ts';
import { ambush } from './ambush.ts';
import type { Connection } from './connection.ts';
import { restartAnnounced } from './host-commands.ts';
import { admitIntruder, sealForeign } from './intruder.ts';
import type { Random } from './random.ts';
import { refusalOf } from './refusals.ts';
import {
  leavePredecessor,
  replaceMemory,
  replaceRank,
  replaceReplica,
  replaceScheduler,
  replaceSchedulerAndRank,
  stopReplica,
} from './replacements.ts';
import type { Replica, World } from './world.ts';

/** What goes wrong: changes the world, and puts it right again later or leaves that to the end of all faults. */
type Disturbance = (world: World, random: Random) => void;

/** Registered memory is told by two bytes here, which may hide an offset. */
const versionsForAnyLayer = testedServerVersions.filter((version) => storageOffsetFault('layer', version) === null);

const methods: readonly RpcMethod[] = [
  'registerContextBatch',
  'registerContextBatch',
  'unregisterContext',
  'session',
  'save',
  'load',
  'queryPrefetch',
  'release',
];

/** Milliseconds of an outage: mostly short, sometimes beyond every budget but the longest. */
const outageMs = (random: Random) =>
  random.pick([random.between(1, 300), random.between(300, 3_000), random.between(3_000, 12_000), 40_000]);

const replicaOf = ({ replicas }: World, random: Random): Replica => random.pick(replicas);

function connectionOf({ kernel }: World, random: Random): Connection | null {
  const connections = [...kernel.connections].filter(({ isOpenAtClient }) => isOpenAtClient);
  return connections.length === 0 ? null : random.pick(connections);
}

function schedulerConnection({ kernel }: World, { instance }: Replica): Connection | undefined {
  return [...kernel.connections].find(({ client }) => client === instance.schedulerProcess);
}

function restartAfter(world: World, downMs: number): void {
  world.later(downMs, () => world.ensureServer());
}

function break_(world: World, method: RpcMethod, fault: MethodFault): void {
  world.server.faults.merge({ methods: { [method]: fault } });
}

/** Makes a generation begin, so that a fault of its RPCs strikes. */
function provoke(world: World, random: Random): void {
  const { instance } = replicaOf(world, random);
  const { server } = world;
  if (random.chance(0.5)) schedulerConnection(world, { instance } as Replica)?.reset();
  else server.post(() => void server.engine.registrations.cleanupInstance(instance.shape.instanceId));
}

const table = {
  kill: (world, random) => {
    world.server.kill(random.chance(0.5) ? 0 : random.between(1, 200));
    restartAfter(world, random.chance(0.7) ? random.between(200, 3_000) : outageMs(random));
  },
  /** Copies that are under way outlive the sockets, for nearly as long as a settling time allows. */
  lingeringKill: (world, random) => {
    world.server.faults.merge({ copyDelayMs: random.between(10, 60) });
    world.later(random.between(20, 200), () => {
      world.server.kill(random.between(100, 200));
      restartAfter(world, random.between(250, 600));
    });
  },
  /** No probe can see that the server was ever away. */
  fastRestart: (world, random) => {
    world.server.kill(0);
    restartAfter(world, random.next());
  },
  crashLoop: (world, random) => {
    let atMs = 0;
    for (let i = random.int(2, 5); i > 0; i--) {
      world.later(atMs, () => {
        world.server.kill(random.chance(0.5) ? 0 : random.between(1, 60));
        restartAfter(world, random.between(60, 300));
      });
      atMs += random.between(300, 380) + random.between(0, 40);
    }
  },
  /** Now and then amid copies that last. */
  freeze: (world, random) => {
    const { server } = world;
    const durationMs = outageMs(random);
    const isAmidCopies = random.chance(0.5);
    if (isAmidCopies) server.faults.merge({ copyDelayMs: random.between(20, 400) });
    world.later(isAmidCopies ? random.between(50, 1_000) : 0, () => world.stopFor(server.process, durationMs));
  },
  /** Stands still and is killed before it goes on. */
  freezeAndKill: (world, random) => {
    const { server } = world;
    world.stopFor(server.process, 60_000);
    world.later(outageMs(random), () => {
      server.kill(0);
      restartAfter(world, random.between(0, 500));
    });
  },
  resetLink: (world, random) => connectionOf(world, random)?.reset(),
  resetEveryLink: ({ kernel }) => {
    for (const connection of kernel.connections) connection.reset();
  },
  /** What stands between dies and comes back; the server lives and copies. */
  proxyDeath: (world, random) => {
    const { proxy } = world.kernel;
    if (proxy === null || proxy.isDead) return;
    world.server.faults.merge({ copyDelayMs: random.between(20, 200) });
    world.later(random.between(20, 500), () => {
      world.kernel.kill(proxy);
      world.later(random.chance(0.5) ? random.between(1, 300) : outageMs(random), () => world.startProxy());
    });
  },
  partition: (world, random) => {
    const ends = random.pick([['client'], ['server'], ['client', 'server']] as const);
    const isWhole = random.chance(0.5);
    const one = connectionOf(world, random);
    const cut = [...world.kernel.connections].filter((connection) => isWhole || connection === one);
    world.kernel.isBlackholed = isWhole;
    for (const connection of cut) connection.block(...ends);
    world.later(outageMs(random), () => {
      world.kernel.isBlackholed = false;
      for (const connection of cut) connection.unblock();
    });
  },
  halfOpen: (world, random) => connectionOf(world, random)?.halfOpen(),
  droppedSyns: (world, random) => {
    world.kernel.isBlackholed = true;
    for (const connection of world.kernel.connections) if (random.chance(0.5)) connection.reset();
    world.later(outageMs(random), () => {
      world.kernel.isBlackholed = false;
    });
  },
  slowNetwork: (world, random) => {
    world.kernel.extraLatencyMs = random.between(10, 900);
    world.later(outageMs(random), () => {
      world.kernel.extraLatencyMs = 0;
    });
  },
  drain: (world, random) => {
    const { server } = world;
    server.process.atExit.push(() => restartAfter(world, random.between(0, 300)));
    server.post(() => server.drain(random.pick([500, 5_000, 60_000])));
  },
  cleanup: (world, random) => {
    const { server } = world;
    const { instanceId } = replicaOf(world, random).instance.shape;
    server.post(() => void server.engine.registrations.cleanupInstance(instanceId));
  },
  cleanupAll: ({ server }) => server.post(() => void server.engine.registrations.cleanupAll()),
  memoryCleanup: ({ server }) => server.post(() => void server.engine.cleanupMemory()),
  intruder: (world, random) => admitIntruder(world, replicaOf(world, random).instance, random),
  livingTwin: (world, random) => sealForeign(world, replicaOf(world, random).instance.shape),
  predecessor: (world, random) => leavePredecessor(world, replicaOf(world, random)),
  /** A session's end that forgets the instance long after it unmapped the memory. */
  lateCleanup: (world, random) => {
    const replica = replicaOf(world, random);
    break_(world, 'session', { betweenStepsMs: random.between(1, 3_000), times: 1 });
    schedulerConnection(world, replica)?.reset();
    world.later(random.between(5, 300), () => schedulerConnection(world, replica)?.reset());
  },
  betweenSteps: (world, random) => {
    const betweenStepsMs = random.between(1, 800);
    break_(world, 'registerContextBatch', { betweenStepsMs, times: random.int(1, 3) });
    if (random.chance(0.5)) break_(world, 'unregisterContext', { betweenStepsMs, times: 1 });
    provoke(world, random);
    if (random.chance(0.5)) world.later(random.between(1, betweenStepsMs), () => provoke(world, random));
  },
  lostAnswer: (world, random) => {
    break_(world, random.pick(methods.filter((method) => method !== 'session')), { loseAck: true, times: 1 });
    provoke(world, random);
  },
  delayedAnswers: (world, random) => {
    break_(world, random.pick(methods), { delayMs: random.between(20, 6_000), times: random.int(1, 4) });
    provoke(world, random);
  },
  hungCalls: (world, random) => {
    const method = random.pick(methods);
    const { server } = world;
    break_(world, method, { hang: true, times: random.int(1, 3) });
    if (random.chance(0.7)) provoke(world, random);
    world.later(outageMs(random), () => server.faults.merge({ methods: { [method]: null } }));
  },
  refusedCalls: (world, random) => {
    const method = random.pick(methods);
    break_(world, method, { refuse: refusalOf(method, random), times: random.int(1, 3) });
    if (random.chance(0.5)) provoke(world, random);
  },
  copyAfterClose: (world, random) => {
    world.server.faults.merge({ copyAfterCloseMs: random.between(20, 2_000), copyDelayMs: random.between(5, 50) });
    provoke(world, random);
  },
  copyAfterThaw: (world, random) => {
    const { server } = world;
    server.faults.merge({ copyAfterThaw: true });
    world.isThawAwaited = true;
    world.later(random.between(20, 400), () => {
      world.stopFor(server.process, 450 + outageMs(random));
      server.faults.merge({ copyAfterThaw: null });
    });
  },
  refusedSaves: (world, random) => {
    const message = random.pick(['storage error: pinned pool exhausted while allocating 64 bytes', 'disk full']);
    break_(world, 'save', { refuse: { code: Code.Internal, message } });
    world.later(random.between(500, 20_000), () => world.server.faults.merge({ methods: { save: null } }));
  },
  refusedLoads: (world, random) => {
    break_(world, 'load', { refuse: { code: Code.Internal, message: 'storage error: LoadState: no such file' } });
    world.later(random.between(500, 20_000), () => world.server.faults.merge({ methods: { load: null } }));
  },
  slowCopies: ({ server }, random) => server.faults.merge({ copyDelayMs: random.between(20, 400) }),
  failedCopies: ({ server }, random) => {
    server.copyTrouble.failingWrites = random.int(1, 3);
  },
  insertDelay: ({ server }, random) => server.faults.merge({ insertDelayMs: random.between(10, 2_000) }),
  answerLoading: ({ server }, random) => server.faults.merge({ answerLoading: random.int(1, 40) }),
  otherVersion: (world, random) => {
    world.server.kill(0);
    world.later(random.between(1, 400), () => {
      world.ensureServer();
      world.server.faults.merge({ version: '99.0.0' });
    });
    world.later(1_000 + outageMs(random), () => {
      world.server.kill(0);
      restartAfter(world, random.between(1, 400));
    });
  },
  /** One that connectors take; it stays until another change. */
  changedVersion: (world, random) => {
    world.server.kill(0);
    world.serverVersion = random.pick(versionsForAnyLayer.filter((version) => version !== world.serverVersion));
    restartAfter(world, random.between(1, 400));
  },
  /** Two servers behind one address: roles find themselves at different ones, until one is left. */
  secondServer: (world, random) => {
    world.startSecondServer(outageMs(random));
    for (const connection of world.kernel.connections) if (random.chance(0.5)) connection.reset();
  },
  otherMemory: (world, random) => replaceMemory(world, replicaOf(world, random), random),
  rankDeath: (world, random) => replaceRank(world, replicaOf(world, random), random),
  /** What it had begun ends under the next one, now and then. */
  schedulerDeath: (world, random) => {
    if (random.chance(0.5)) world.server.faults.merge({ copyDelayMs: random.between(100, 1_000) });
    world.later(random.between(0, 500), () => replaceScheduler(world, replicaOf(world, random)));
  },
  schedulerAndRankDeath: (world, random) => replaceSchedulerAndRank(world, replicaOf(world, random), random),
  replicaDeath: (world, random) => replaceReplica(world, replicaOf(world, random)),
  stop: (world, random) => stopReplica(world, replicaOf(world, random)),
  stopInRecovery: (world, random) => {
    const replica = replicaOf(world, random);
    world.server.kill(0);
    restartAfter(world, random.between(0, 100));
    world.later(random.between(0, 130), () => stopReplica(world, replica));
  },
  stalledProcess: (world, random) => {
    const { instance, host } = replicaOf(world, random);
    const { unsafeReleaseAfterMs } = instance.shape.budgets;
    const beyondMs = random.between(1, 500);
    const stallMs = random.pick([
      random.between(100, 8_000),
      random.between(1_000, 10_000),
      (unsafeReleaseAfterMs ?? 10_000) + beyondMs,
    ]);
    // What is under way now ends meanwhile, and so do the budgets for it.
    world.server.faults.merge({ copyDelayMs: random.between(20, 400) });
    world.later(random.between(50, 1_000), () => {
      host.excusedMs += stallMs;
      world.stopFor(random.pick(instance.processes), stallMs);
    });
  },
  /** All else is answered. What waits for them to end, or for its turn behind them, does so until the server's death at worst. */
  stuckTransfers: (world, random) => {
    world.server.hangCopiesOf(replicaOf(world, random).instance.shape.instanceId);
  },
  restartAnnounced: (world, random) => restartAnnounced(world, replicaOf(world, random), random),
  endedSession: (world, random) => {
    const connection = schedulerConnection(world, replicaOf(world, random));
    const { server } = world;
    if (connection !== undefined) server.post(() => server.endSession(connection));
  },
  ambushedScheduler: (world, random) => ambush(world, replicaOf(world, random), 'scheduler', random),
  ambushedRank: (world, random) => ambush(world, replicaOf(world, random), 'worker', random),
  clockJump: ({ kernel }, random) => {
    kernel.loop.wallClockOffsetMs += random.between(-1e8, 1e8);
  },
} as const satisfies Record<string, Disturbance>;

export type FaultKind = keyof typeof table;
export const disturbances: Readonly<Record<FaultKind, Disturbance>> = table;

const kinds = Object.keys(table) as FaultKind[];

/** Kinds that stand for many, or that seldom meet what they need: drawn so much more often than others. */
const weights: Partial<Record<FaultKind, number>> = {
  ambushedScheduler: 18,
  ambushedRank: 12,
  lingeringKill: 2,
  proxyDeath: 4,
};

/** Every kind, as often as it is to be drawn. */
export const kindsToDraw = kinds.flatMap((kind) => Array<FaultKind>(weights[kind] ?? 1).fill(kind));

/** Whether the kind needs seconds to come about. */
export const takesItsTime = (kind: FaultKind): boolean => kind.startsWith('ambushed');
