import type { Random } from './random.ts';
import { isWhole } from './replacements.ts';
import { Violation } from './violation.ts';
import type { Replica, World } from './world.ts';

/** Milliseconds on top of the declared budget: the turns of the event loop. */
const SLACK_MS = 500;

/** The host prepares for a restart of the server: everything has to be handed back within the budget. */
export function drainByHost({ kernel, schedule }: World, { instance, host }: Replica): void {
  if (host.isStopped || !isWhole(instance)) return;
  const { scheduler, schedulerProcess, shape } = instance;
  const { excusedMs } = host;
  let isOver = false;
  kernel.loop.schedule(schedulerProcess, 0, 'io', () => {
    void scheduler.drain().then(() => {
      isOver = true;
    });
  });
  schedule(shape.budgets.drainTimeoutMs + SLACK_MS, () => {
    if (isOver || schedulerProcess.isDead || host.excusedMs > excusedMs) return;
    kernel.report(new Violation(2, `the drain of ${shape.instanceId} hangs`));
  });
}

export function resumeByHost({ kernel }: World, { instance }: Replica): void {
  if (instance.isWithoutScheduler) return;
  const { scheduler, schedulerProcess } = instance;
  kernel.loop.schedule(schedulerProcess, 0, 'io', () => scheduler.resume());
}

/** A planned restart, of which the host says the beginning and, unless it forgets, the end. */
export function restartAnnounced(world: World, replica: Replica, random: Random): void {
  drainByHost(world, replica);
  const { server } = world;
  const exitMs = random.between(0, 6_000);
  if (random.chance(0.8)) {
    server.process.atExit.push(() => world.later(random.between(0, 500), () => world.ensureServer()));
    world.later(exitMs, () => (random.chance(0.5) ? server.drain(5_000) : server.kill(0)));
  }
  if (random.chance(0.7)) world.later(exitMs + random.between(-500, 3_000), () => resumeByHost(world, replica));
}
