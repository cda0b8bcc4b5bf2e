/** What happens between the connector and the server. */
import { setTimeout as pause } from 'node:timers/promises';
import { CLEAR, type Direction, type NetworkCondition } from '../network.ts';
import { draw, type FaultWorld, pick, type SoakFault } from './fault.ts';

export const NETWORK_FAULTS: readonly SoakFault[] = [
  { kind: 'links closed', touches: 'network', weight: 3, run: (world) => cut(world, 'close') },
  { kind: 'links reset', touches: 'network', weight: 3, run: (world) => cut(world, 'reset') },
  { kind: 'blackhole', touches: 'network', weight: 3, run: blackhole },
  { kind: 'slow network', touches: 'network', weight: 2, run: slowNetwork },
  { kind: 'sliced frames', touches: 'network', weight: 2, run: sliceFrames },
];

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
