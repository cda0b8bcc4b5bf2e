/** What happens to the connector's processes. */
import { setTimeout as pause } from 'node:timers/promises';
import { canBlind } from '../../support/netns.ts';
import { draw, type FaultWorld, frozen, type SoakFault } from './fault.ts';

const BLINDING: SoakFault = {
  kind: 'pids invisible',
  touches: 'host',
  weight: 3,
  replacesHost: true,
  run: (world) => killScheduler(world, { isBlind: true }),
};

export const HOST_FAULTS: readonly SoakFault[] = [
  { kind: 'rank paused', touches: 'host', weight: 2, run: pauseRank },
  { kind: 'scheduler paused', touches: 'host', weight: 2, run: pauseScheduler },
  { kind: 'rank killed', touches: 'host', weight: 3, replacesHost: true, run: killRank },
  { kind: 'scheduler killed', touches: 'host', weight: 3, replacesHost: true, run: (world) => killScheduler(world) },
  ...(canBlind() ? [BLINDING] : []),
];

async function pauseRank(world: FaultWorld): Promise<void> {
  await frozen(world.processes.rankPids[draw(world, 0, world.ranks - 1)] ?? null, draw(world, 200, 5_000));
}

async function pauseScheduler(world: FaultWorld): Promise<void> {
  await frozen(world.processes.schedulerPid, draw(world, 200, 5_000));
}

async function killRank(world: FaultWorld): Promise<void> {
  await world.processes.killRank(draw(world, 0, world.ranks - 1));
}

async function killScheduler(world: FaultWorld, { isBlind = false } = {}): Promise<void> {
  await world.processes.killScheduler();
  await pause(draw(world, 0, 2_000));
  await world.processes.startScheduler({ isBlind });
}
