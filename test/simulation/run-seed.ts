import type { Coverage } from './coverage.ts';
import { disturbances } from './faults.ts';
import { boot, type Kernel } from './kernel.ts';
import { type Fault, planOf } from './plan.ts';
import { Random } from './random.ts';
import { isWhole, replaceReplica } from './replacements.ts';
import { noTallies, type Tallies } from './tallies.ts';
import { Violation } from './violation.ts';
import { type Replica, World } from './world.ts';

export interface RunOptions {
  readonly seed: number;
  /** Indices of the plan's faults that are played. Default: all. */
  readonly faults?: readonly number[];
}

export interface RunResult {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly hash: string;
  readonly tallies: Tallies;
  readonly faultsByKind: Readonly<Record<string, number>>;
  /** Faults that were played before the end. */
  readonly played: readonly number[];
  readonly trace: readonly string[];
}

/** Plays one seed to its end or to its first violation. */
export async function runSeed({ seed, faults }: RunOptions, coverage: Coverage): Promise<RunResult> {
  const kernel = boot(seed);
  const tallies = noTallies();
  const world = new World(kernel, coverage, tallies, seed);
  const run = new Run(kernel, world, tallies);
  const onRejection = (error: unknown) => kernel.report(violationFrom(error));
  process.on('unhandledRejection', onRejection);
  try {
    run.begin(seed, faults ?? null);
    await kernel.loop.run(() => run.isOver || kernel.violation !== null);
  } catch (error) {
    kernel.report(violationFrom(error));
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  tallies.seeds = 1;
  tallies.simulatedMs = kernel.loop.nowMs;
  tallies.events = kernel.loop.eventsRun;
  const { violation, journal } = kernel;
  const { faultsByKind, played } = run;
  return { seed, violation, hash: journal.hash, tallies, faultsByKind, played, trace: journal.lines };
}

function violationFrom(error: unknown): Violation {
  if (error instanceof Violation) return error;
  return new Violation('D', error instanceof Error ? (error.stack ?? error.message) : String(error));
}

/** Milliseconds between two looks at what has to be over by now. */
const WATCH_INTERVAL_MS = 1_000;

/** How likely a request arrives with a step. */
const arrivalChances = { none: 0, sparse: 0.04, dense: 0.4 };
/** Milliseconds of dense traffic after the last fault. */
const DENSE_MS = 1_000;
/** Milliseconds of it before a quiet time, when all is well. */
const LAST_TRAFFIC_MS = 500;
/** Milliseconds of quiet at the end: longer than anything may still take that the faults left open. */
const LAST_QUIET_MS = 110_000;

const ATTEMPTS_PER_PREFIX = 10;

class Run {
  isOver = false;
  readonly faultsByKind: Record<string, number> = {};
  readonly played: number[] = [];
  #kernel: Kernel;
  #world: World;
  #tallies: Tallies;
  #freshCount = 0;

  constructor(kernel: Kernel, world: World, tallies: Tallies) {
    this.#kernel = kernel;
    this.#world = world;
    this.#tallies = tallies;
  }

  begin(seed: number, only: readonly number[] | null): void {
    this.#watch();
    this.#kernel.loop.schedule(this.#world.director, 0, 'timer', () => {
      this.#play(seed, only).then(
        () => {
          this.isOver = true;
        },
        (error) => this.#kernel.report(violationFrom(error)),
      );
    });
  }

  async #play(seed: number, only: readonly number[] | null): Promise<void> {
    this.#setTraffic('sparse');
    await this.#converge('the start');
    for (const { quietMs, forgottenAfterMs, faults, lastingMs } of planOf(seed)) {
      await this.#beQuiet(quietMs, forgottenAfterMs);
      this.#setTraffic('dense');
      await this.#sleep(250);
      for (const fault of faults) {
        await this.#sleep(fault.afterMs);
        if (only === null || only.includes(fault.index)) this.#disturb(fault);
      }
      await this.#sleep(Math.min(DENSE_MS, lastingMs));
      this.#setTraffic('sparse');
      await this.#sleep(Math.max(0, lastingMs - DENSE_MS));
      this.#world.heal();
      this.#kernel.journal.write('director', 'all faults are over');
      await this.#converge(`fault ${faults.at(-1)?.index}`);
      this.#tallies.recoveries += 1;
    }
    await this.#beQuiet(LAST_QUIET_MS, null);
  }

  async #beQuiet(quietMs: number, forgottenAfterMs: number | null): Promise<void> {
    const { server } = this.#world;
    const sinceMs = this.#kernel.loop.nowMs;
    this.#setTraffic('dense');
    await this.#sleep(LAST_TRAFFIC_MS);
    this.#setTraffic('none');
    if (forgottenAfterMs !== null) {
      const forget = () => server.post(() => void server.engine.registrations.cleanupAll());
      this.#kernel.loop.schedule(this.#world.director, forgottenAfterMs, 'timer', forget);
    }
    await this.#sleep(quietMs);
    this.#world.judgeQuiet(sinceMs);
  }

  #disturb(fault: Fault): void {
    this.#kernel.journal.write('director', `fault ${fault.index}: ${fault.kind}`);
    this.played.push(fault.index);
    this.faultsByKind[fault.kind] = (this.faultsByKind[fault.kind] ?? 0) + 1;
    this.#tallies.faults += 1;
    disturbances[fault.kind](this.#world, new Random(fault.seed, fault.kind));
  }

  #setTraffic(density: keyof typeof arrivalChances): void {
    for (const { host } of this.#world.replicas) host.arrivalChance = arrivalChances[density];
  }

  /** After faults stop, every machine reaches connected, and a fresh save, query and load work. */
  async #converge(after: string): Promise<void> {
    for (let i = 0; i < this.#world.replicas.length; i++) {
      // One that is being stopped is replaced by another.
      const replica = () => this.#world.replicas[i]!;
      const boundMs = convergenceBoundMs(replica());
      if (!(await this.#until(() => replica().instance.isConnected, boundMs))) {
        throw new Violation(9, `${boundMs} ms after ${after}: ${pathsOf(replica())}`);
      }
      await this.#proveEnds(replica, after, boundMs);
      await this.#proveFresh(replica, after, boundMs);
    }
  }

  /** Nothing stays in doubt at a server that answers; where its end cannot be proved, only the server's death does. */
  async #proveEnds(replica: () => Replica, after: string, boundMs: number): Promise<void> {
    const { budgets } = replica().instance.shape;
    if (budgets.unsafeReleaseAfterMs !== null) return;
    const ranks = () => replica().instance.ranks;
    const isNothingHeld = () =>
      !this.#world.server.hasHungCopies &&
      ranks().every(({ worker }) => worker.quarantine('load').blocks + worker.quarantine('save').blocks === 0);
    if (await this.#until(isNothingHeld, boundMs + budgets.proofRetryMaxMs)) return;
    const doubts = ranks().map(({ worker }) => worker.takeReport().doubt);
    const isHopeless = this.#world.server.hasHungCopies || (doubts.includes('held') && !doubts.includes('provable'));
    if (!isHopeless) throw new Violation('P', `${doubts.join(', ')} long after ${after}: ${pathsOf(replica())}`);
    this.#tallies.unprovable += 1;
    this.#kernel.journal.write('director', 'nothing but its death proves what the server is done with');
    this.#world.server.kill(0);
    this.#world.ensureServer();
    // Where a rank never saw the process that held its memory, that nothing proves its death has been told.
    const isTold = () =>
      ranks().every((rank) => {
        const held = rank.worker.quarantine('load').blocks + rank.worker.quarantine('save').blocks;
        return held === 0 || replica().instance.toldUnprovable.has(rank);
      });
    if (await this.#until(isTold, boundMs)) {
      if (isNothingHeld()) return;
      this.#kernel.journal.write('director', 'the host is restarted, as the log line says');
      replaceReplica(this.#world, replica());
      const isBack = () => isWhole(replica().instance) && replica().instance.isConnected;
      if (await this.#until(isBack, boundMs)) return;
    }
    throw new Violation('P', `blocks are held although their server is dead: ${pathsOf(replica())}`);
  }

  async #proveFresh(replica: () => Replica, after: string, boundMs: number): Promise<void> {
    const endMs = this.#kernel.loop.nowMs + boundMs;
    for (let attempt = 0; ; attempt++) {
      // What was released unsafely is no hit until the server has died, so another prefix is tried after a while.
      if (attempt % ATTEMPTS_PER_PREFIX === 0) this.#freshCount += 1;
      const prefix = `fresh ${this.#freshCount}`;
      replica().host.wish(prefix);
      if (await this.#until(() => replica().host.verifiedPrefixes.has(prefix), 400)) return;
      if (this.#kernel.loop.nowMs > endMs) {
        throw new Violation(8, `nothing saved since ${after} was loaded in ${boundMs} ms: ${pathsOf(replica())}`);
      }
    }
  }

  #watch(): void {
    this.#kernel.loop.schedule(this.#world.director, WATCH_INTERVAL_MS, 'timer', () => {
      for (const { host } of this.#world.replicas) host.checkBudgets();
      this.#watch();
    });
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#kernel.loop.schedule(this.#world.director, delayMs, 'timer', resolve);
    });
  }

  /** Whether it came true within so many milliseconds. */
  async #until(isTrue: () => boolean, boundMs: number): Promise<boolean> {
    const endMs = this.#kernel.loop.nowMs + boundMs;
    while (!isTrue()) {
      if (this.#kernel.loop.nowMs >= endMs) return false;
      await this.#sleep(50);
    }
    return true;
  }
}

/** The longest way back that the table of budgets allows: one of everything that may have to run out. */
function convergenceBoundMs({ instance: { shape }, host }: Replica): number {
  const { budgets } = shape;
  const { dialTimeoutMs, sessionTimeoutMs, surveyTimeoutMs, quiesceTimeoutMs, stalledTimeoutMs } = budgets;
  const { voidBackoffMaxMs, auditIntervalMs, versionProbeIntervalMs, drainTimeoutMs, rankRedialMaxMs } = budgets;
  const { pingIntervalMs, pingTimeoutMs, drainedTimeoutMs } = budgets;
  const noticed = auditIntervalMs + surveyTimeoutMs + pingIntervalMs + pingTimeoutMs + drainTimeoutMs;
  const dialled = 3 * (dialTimeoutMs + rankRedialMaxMs + sessionTimeoutMs) + versionProbeIntervalMs + surveyTimeoutMs;
  const registered = voidBackoffMaxMs + quiesceTimeoutMs + 2 * stalledTimeoutMs + 3 * surveyTimeoutMs;
  return drainedTimeoutMs + noticed + dialled + registered + 20 * host.stepIntervalMs;
}

function pathsOf({ host, instance }: Replica): string {
  const paths = [instance.scheduler, ...instance.ranks.map(({ worker }) => worker)]
    .map(({ status }) => `${status.path} (epoch ${status.epoch?.counter}; ${status.fault?.message})`)
    .join(' | ');
  const doubts = instance.ranks.map(({ worker }) => {
    const { doubt, idle, isQuiet } = worker.takeReport();
    return idle ? 'idle' : `${doubt} in doubt${isQuiet ? ', quiet' : ''}`;
  });
  return `${paths} | ${doubts.join(', ')} | host: ${host.describe()}`;
}
