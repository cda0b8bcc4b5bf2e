import type { Instance } from './instance.ts';
import { sealForeign } from './intruder.ts';
import type { Kernel } from './kernel.ts';
import type { Random } from './random.ts';
import { Violation } from './violation.ts';
import type { Replica, World } from './world.ts';

/** Milliseconds between two looks whether a rank has anything under way. */
const IDLE_LOOK_MS = 3;

/** One rank's process dies and comes back as another, with other memory. */
export function replaceRank(world: World, { instance, host }: Replica, random: Random): void {
  const rank = random.pick(instance.ranks);
  if (host.isStopped || instance.isOneProcess || rank === undefined || rank.process.isDead) return;
  world.kernel.kill(rank.process);
  world.schedule(random.between(0, 2_000), () => instance.startRank(rank.index, () => host.rankReplaced(rank.index)));
}

/** A rank's process registers other memory, as soon as nothing is under way: between two steps, as a host would. */
export function replaceMemory(world: World, { instance, host }: Replica, random: Random): void {
  const index = random.int(0, instance.shape.worldSize - 1);
  const rank = instance.ranks[index];
  if (host.isStopped || rank === undefined) return;
  const tryIt = () => {
    const isThere = !host.isStopped && !instance.isWithoutScheduler && instance.ranks[index] === rank;
    if (!isThere || rank.process.isDead) return;
    if (!host.isInStep && instance.replaceMemory(index)) host.rankReplaced(index);
    else world.kernel.loop.schedule(rank.process, IDLE_LOOK_MS, 'io', tryIt);
  };
  world.kernel.loop.schedule(rank.process, 0, 'io', tryIt);
}

/** The scheduler's process dies and comes back as another; the ranks live on. */
export function replaceScheduler(_: World, { instance, host }: Replica): void {
  if (host.isStopped || instance.isOneProcess || instance.schedulerProcess.isDead) return;
  host.schedulerEnded();
  instance.replaceScheduler(() => host.schedulerStarted());
}

/** Both die at once: the new scheduler has never heard of the rank's process that is gone, whose last word is on its way. */
export function replaceSchedulerAndRank(world: World, replica: Replica, random: Random): void {
  replaceRank(world, replica, random);
  replaceScheduler(world, replica);
}

/** All processes die at once; others take their place under the same id. */
export function replaceReplica(world: World, { instance, host }: Replica): void {
  if (host.isStopped || !isWhole(instance)) return;
  host.stop();
  for (const process of instance.processes) world.kernel.kill(process);
  world.startReplica(instance.shape);
}

/** All processes die; a server that lives holds a sealed instance of somebody else under the id when others start. */
export function leavePredecessor(world: World, { instance, host }: Replica): void {
  if (host.isStopped || !isWhole(instance)) return;
  host.stop();
  for (const process of instance.processes) world.kernel.kill(process);
  world.schedule(5, () => {
    sealForeign(world, instance.shape);
    world.schedule(5, () => world.startReplica(instance.shape));
  });
}

/** Whether all its processes are there and run. */
export function isWhole({ isComplete, isWithoutScheduler, processes }: Instance): boolean {
  if (isWithoutScheduler || !isComplete) return false;
  return processes.every((process) => !process.isDead && !process.isStopped);
}

/** Milliseconds on top of the declared budget: messages and steps between the processes. */
const SLACK_MS = 1_500;
/** Milliseconds in which timers that were armed for a moment may still run out. */
const LAST_TURNS_MS = 50;
/** Milliseconds after which what was called clean must still be so. */
const AFTERMATH_MS = 3_000;

/** Stops scheduler and ranks, looks at what they leave, and starts others in their place. */
export function stopReplica(world: World, replica: Replica): void {
  const { instance, host } = replica;
  const { kernel } = world;
  if (host.isStopped || !isWhole(instance)) return;
  const { ranks, scheduler, schedulerProcess, shape } = instance;
  host.stop();
  let ranksStopped = 0;
  let outcome: string | null = null;
  let isOver = false;
  const join = () => {
    if (isOver || outcome === null || ranksStopped < ranks.length) return;
    isOver = true;
    if (outcome === 'clean') checkNothingIsRegistered(world, instance);
    world.schedule(LAST_TURNS_MS, () => {
      checkNothingIsLeft(kernel, instance);
      for (const process of instance.processes) kernel.kill(process);
      world.startReplica(shape);
    });
  };
  const excusedMs = host.excusedMs;
  world.schedule(shape.budgets.stopTimeoutMs + SLACK_MS, () => {
    if (!isOver && host.excusedMs === excusedMs) kernel.report(new Violation(2, `stop of ${shape.instanceId} hangs`));
  });
  for (const { process, worker } of ranks) {
    kernel.loop.schedule(process, 0, 'io', () => {
      void worker.stop().then(() => {
        const report = worker.takeReport();
        kernel.loop.schedule(schedulerProcess, 1, 'io', () => {
          if (shape.embedding === 'pulled') scheduler.acceptReport(report);
          ranksStopped += 1;
          world.schedule(0, join);
        });
      });
    });
  }
  kernel.loop.schedule(schedulerProcess, 0, 'io', () => {
    void scheduler.stop().then(({ kind }) => {
      outcome = kind;
      kernel.journal.write(schedulerProcess.name, `stopped: ${kind}`);
      world.schedule(0, join);
    });
  });
}

/** Nothing at a living server may map memory of an instance that was stopped clean, now or a moment later. */
function checkNothingIsRegistered(world: World, { ranks, shape }: Instance): void {
  const look = () => {
    for (const { memories } of ranks) {
      for (const { mappedBy } of memories) {
        const holder = world.servers.find(({ isAlive, process }) => isAlive && mappedBy.has(process));
        if (holder === undefined) continue;
        const message = `${shape.instanceId} was stopped clean and ${holder.process.name} still maps its memory`;
        world.kernel.report(new Violation(10, message));
      }
    }
  };
  // A scheduler does not know which of two servers a rank had found.
  const isOneServer = world.servers.filter(({ isAlive }) => isAlive).length <= 1;
  if (!isOneServer || world.server.faults.switches.copyAfterCloseMs !== undefined) return;
  look();
  world.schedule(AFTERMATH_MS, look);
}

function checkNothingIsLeft({ connections, loadStates, loop, report }: Kernel, { processes, shape }: Instance): void {
  const isOurs = (process: Instance['schedulerProcess']) => processes.includes(process);
  const left = [
    ...[...connections].filter(({ client, isOpenAtClient }) => isOpenAtClient && isOurs(client)).map(() => 'a link'),
    ...[...loadStates.values()].filter(({ owner }) => isOurs(owner)).map(() => 'the record of a load'),
    ...processes.filter((process) => loop.pendingTimers(process) > 0).map(({ name }) => `a timer of ${name}`),
  ];
  if (left.length > 0) report(new Violation(10, `${shape.instanceId} was stopped and leaves ${left.join(', ')}`));
}
