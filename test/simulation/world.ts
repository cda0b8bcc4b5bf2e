import { type Budgets, budgetsFrom, newestTestedVersion } from '../../machines/index.ts';
import { POOL_UNIT_BYTES } from '../../src/engine/cache/host-pool.ts';
import type { FaultPatch } from '../../src/engine/faults.ts';
import { BlockPool } from './block-pool.ts';
import type { Coverage, MachineName } from './coverage.ts';
import type { ScheduledEvent, SimulatedProcess } from './event-loop.ts';
import { Host } from './host.ts';
import { Inspector } from './inspector.ts';
import { type Embedding, Instance, type InstanceShape } from './instance.ts';
import type { Kernel } from './kernel.ts';
import { Random } from './random.ts';
import { SimulatedServer } from './server.ts';
import { heardMs } from './stand-ins/link.ts';
import { Taints } from './taints.ts';
import type { Tallies } from './tallies.ts';
import { Violation } from './violation.ts';

const PORT = 50_055;
/** As a proxy may say: of these two are kept free for what must not wait. */
const FEW_STREAMS = 4;
/** Milliseconds that the engine takes for a process that was stopped. */
const THAW_AFTER_MS = 450;

/** An instance with its host. */
export interface Replica {
  readonly instance: Instance;
  readonly host: Host;
}

/** What happens when a machine comes to a state. */
interface Watch {
  readonly instanceId: string;
  readonly machine: MachineName;
  readonly path: string;
  readonly run: (rank: number | null) => void;
}

/** Everything that one seed sets up: the server's incarnations, the replicas, and who watches them. */
export class World {
  readonly kernel: Kernel;
  readonly tallies: Tallies;
  readonly random: Random;
  /** Whoever makes the faults: a process that nothing happens to. */
  readonly director: SimulatedProcess;
  readonly replicas: Replica[] = [];
  /** Copies wait for the server to stand still for a while. */
  isThawAwaited = false;
  readonly servers: SimulatedServer[] = [];
  /** Of the incarnations to come. */
  serverVersion: string = newestTestedVersion;
  /** Switches that every incarnation starts with. */
  readonly serverFaults: FaultPatch;
  #coverage: Coverage;
  #inspector: Inspector;
  #taints = new Taints();
  #poolSizeBytes: number;
  #streamsMax: number;
  #newPrefixChance: number;
  #later = new Set<() => void>();
  #watches = new Set<Watch>();

  constructor(kernel: Kernel, coverage: Coverage, tallies: Tallies, seed: number) {
    this.kernel = kernel;
    this.tallies = tallies;
    this.#coverage = coverage;
    const random = new Random(seed, 'world');
    this.random = random;
    this.director = kernel.loop.spawn('director');
    kernel.arePidsVisible = random.chance(0.6);
    if (random.chance(0.25)) this.startProxy();
    this.#inspector = new Inspector(kernel, this.replicas);
    kernel.onFence = (pid, by) => this.#fence(pid, by);
    this.serverFaults = { copyDelayMs: random.pick([0.2, 5, 40]) };
    this.#poolSizeBytes = random.pick([400, 2_000]) * POOL_UNIT_BYTES * 4;
    this.#streamsMax = random.chance(0.3) ? FEW_STREAMS : Number.POSITIVE_INFINITY;
    this.startServer();
    // Streams of their own: the other draws of a seed stay what they are.
    this.#newPrefixChance = new Random(seed, 'prefixes').pick([0, 0.3]);
    const ofFencing = new Random(seed, 'fencing');
    const fencing = ofFencing.pick(['off', 'kill'] as const);
    const fencingSilenceMs = ofFencing.pick([1_000, 10_000]);
    const budgets = { ...drawBudgets(random, kernel.arePidsVisible), fencingSilenceMs };
    const count = random.chance(0.25) ? 2 : 1;
    // One process plays many seeds: each has namespaces of its own.
    for (let i = 0; i < count; i++)
      this.startReplica({
        ...drawShape(random, `i${i}`, `ns-i${i}-${seed}`, budgets, kernel.proxy === null),
        fencing,
      });
  }

  get server(): SimulatedServer {
    return this.servers.at(-1)!;
  }

  /** By the director, after so many milliseconds. */
  readonly schedule = (delayMs: number, run: () => void): ScheduledEvent =>
    this.kernel.loop.schedule(this.director, delayMs, 'io', run);

  /** As {@link schedule}, but at the latest when all faults end. */
  readonly later = (delayMs: number, run: () => void): void => {
    const once = () => {
      this.#later.delete(once);
      event.isCancelled = true;
      run();
    };
    const event = this.schedule(delayMs, once);
    this.#later.add(once);
  };

  /** Once, right after that machine, or that of any rank, came to that state; unless all faults end before. */
  whenIn(instanceId: string, machine: MachineName, path: string, run: Watch['run']): void {
    const { instance } = this.replicaOf(instanceId);
    this.#watches.add({ instanceId, machine, path, run });
    if (machine === 'scheduler' && !instance.isWithoutScheduler) {
      this.#entered(instanceId, machine, instance.scheduler.status.path, null);
    }
  }

  /** The one that has this id now. */
  replicaOf(instanceId: string): Replica {
    return this.replicas.find(({ instance }) => instance.shape.instanceId === instanceId)!;
  }

  stopFor(process: SimulatedProcess, durationMs: number): void {
    this.kernel.stop(process);
    this.later(durationMs, () => this.kernel.continue(process));
  }

  /** Starts a server unless one serves. */
  ensureServer(): void {
    if (!this.server.isAlive) this.startServer();
  }

  /** Ends whatever is still disturbed. */
  heal(): void {
    this.#watches.clear();
    while (this.#later.size > 0) for (const run of [...this.#later]) run();
    const { kernel, server } = this;
    for (const connection of kernel.connections) connection.unblock();
    if (this.isThawAwaited) this.kernel.stop(server.process);
    this.isThawAwaited = false;
    this.schedule(THAW_AFTER_MS, () => this.kernel.continue(server.process));
    if (server.isDraining) server.kill(0);
    else server.faults.clear();
    server.faults.merge(this.serverFaults);
    server.copyTrouble.failingWrites = 0;
    server.endHangs();
    this.ensureServer();
  }

  /** What has to be true after a long time without requests and faults, of all replicas. */
  judgeQuiet(sinceMs: number): void {
    for (const replica of this.replicas) {
      this.#inspector.judgeQuiet(replica, this.server, sinceMs);
      replica.host.judgeQuiet();
    }
  }

  /** Processes whose copies may still touch device memory. */
  livingServers = (): SimulatedProcess[] =>
    this.servers.filter(({ process }) => !process.isDead).map(({ process }) => process);

  /** A process of this host that all connections pass through. */
  startProxy(): void {
    this.kernel.proxy = this.kernel.loop.spawn('proxy');
  }

  startServer(): void {
    this.servers.push(this.#newServer());
  }

  /** Another one behind the same address, which dials find as often; it dies with the faults at the latest. */
  startSecondServer(lastingMs: number): void {
    const second = this.#newServer();
    this.servers.unshift(second);
    this.later(lastingMs, () => second.kill(0));
  }

  #newServer(): SimulatedServer {
    const { serverFaults: faults, serverVersion: version } = this;
    const boots = this.servers.length + 1;
    const sizes = { poolSizeBytes: this.#poolSizeBytes, streamsMax: this.#streamsMax };
    const server = new SimulatedServer(this.kernel, { port: PORT, version, ...sizes, faults, boots });
    this.kernel.journal.write(server.process.name, 'listens');
    return server;
  }

  startReplica(shape: InstanceShape): Replica {
    const { kernel, tallies } = this;
    const pool = new BlockPool(shape.blocks, tallies, this.#taints, this.livingServers);
    const instance = new Instance(kernel, this.#coverage, shape, (touch, blockId, rank, server) =>
      pool.touched(touch, blockId, rank, server),
    );
    pool.instance = instance;
    instance.onPath = (machine, path, rank) => this.#entered(shape.instanceId, machine, path, rank);
    instance.onMarker = (rank, blockId) => pool.markerSent(rank, blockId);
    instance.onUnsafeRelease = (rank, release) => {
      pool.releasedUnsafely(rank, release);
      this.#inspector.releasedUnsafely(rank, release);
    };
    instance.start();
    const host = new Host(kernel, new Random(this.random.int(0, 2 ** 31), shape.instanceId), tallies, instance, pool);
    host.newPrefixChance = this.#newPrefixChance;
    const replica = { instance, host };
    const index = this.replicas.findIndex((other) => other.instance.shape.instanceId === shape.instanceId);
    if (index < 0) this.replicas.push(replica);
    else {
      host.arrivalChance = this.replicas[index]!.host.arrivalChance;
      this.replicas[index] = replica;
    }
    this.#inspector.watch(replica);
    return replica;
  }

  /** SIGKILL by a rank's process to a server's. */
  #fence(pid: number, by: SimulatedProcess): void {
    const { kernel, tallies } = this;
    const server = this.servers.find(({ process }) => process.pid === pid);
    if (server === undefined) {
      kernel.report(new Violation('F', `process ${pid} is killed, which is no server`));
      return;
    }
    if (!server.isAlive) return;
    tallies.fencings += 1;
    kernel.journal.write(by.name, `fences ${server.process.name}`);
    for (const { instance } of this.replicas) {
      // A process of several links tells not which of them is whose.
      if (instance.isOneProcess || !instance.ranks.some(({ process }) => process === by)) continue;
      const silentMs = kernel.loop.nowMs - heardMs(by);
      if (silentMs < instance.shape.budgets.fencingSilenceMs) {
        kernel.report(new Violation('F', `${by.name} fences a server that it heard ${silentMs.toFixed(0)} ms before`));
      }
    }
    server.kill(this.random.chance(0.5) ? 0 : this.random.between(1, 200));
    this.schedule(this.random.between(200, 2_000), () => this.ensureServer());
  }

  #entered(instanceId: string, machine: MachineName, path: string, rank: number | null): void {
    for (const watch of this.#watches) {
      if (watch.instanceId !== instanceId || watch.machine !== machine || watch.path !== path) continue;
      this.#watches.delete(watch);
      this.schedule(0, () => watch.run(rank));
    }
  }
}

/** Where no proof can be had, only a declared time brings blocks back. */
function drawBudgets(random: Random, isProofToBeHad: boolean): Budgets {
  const unsafeReleaseAfterMs = random.pick([2_000, 8_000, 30_000]);
  return budgetsFrom({
    redialMaxMs: random.pick([25, 100, 250]),
    loadPollIntervalMs: random.pick([5, 20, 50]),
    transferStalledAfterMs: random.pick([2_000, 30_000]),
    saveWaitTimeoutMs: random.pick([300, 10_000]),
    unsafeReleaseAfterMs: isProofToBeHad && random.chance(0.7) ? null : unsafeReleaseAfterMs,
    loadingTimeoutMs: random.pick([500, 30_000]),
    stalledTimeoutMs: random.pick([10_000, 60_000]),
    drainedTimeoutMs: random.pick([4_000, 20_000]),
  });
}

function drawShape(
  random: Random,
  instanceId: string,
  namespace: string,
  budgets: Budgets,
  isDirect: boolean,
): Omit<InstanceShape, 'fencing'> {
  return {
    instanceId,
    namespace,
    port: PORT,
    worldSize: random.pick([1, 1, 2, 2, 3, 4]),
    layers: random.pick([1, 2]),
    blocks: random.pick([10, 24]),
    embedding: random.pick<Embedding>(['pushed', 'perRole', 'pulled']),
    budgets,
    // Said where it is true alone.
    direct: isDirect && random.chance(0.5),
  };
}
