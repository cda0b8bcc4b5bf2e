import { Random } from './random.ts';
import type { World } from './world.ts';

export interface Fault {
  readonly index: number;
  readonly kind: FaultKind;
  /** Milliseconds after the fault before. */
  readonly afterMs: number;
  readonly seed: number;
}

type Disturbance = (world: World, random: Random) => void;

function restart(world: World, downMs: number): void {
  world.later(downMs, () => {
    if (world.kernel.listenerAt(50_055) === null) world.startServer();
  });
}

const table = {
  /** SIGKILL; started again after a while. */
  kill: (world, random) => {
    world.server.kill(random.chance(0.5) ? 0 : random.between(1, 200));
    restart(world, random.between(200, 4_000));
  },
  /** SIGKILL; a new incarnation listens within a millisecond. */
  fastRestart: (world, random) => {
    world.server.kill(0);
    restart(world, random.next());
  },
} as const satisfies Record<string, Disturbance>;

export type FaultKind = keyof typeof table;
export const faultKinds: Readonly<Record<FaultKind, Disturbance>> = table;

export function disturb(world: World, { kind, seed }: Fault): void {
  faultKinds[kind](world, new Random(seed, kind));
}

/** Ends whatever is still disturbed. */
export function heal(world: World): void {
  if (!world.server.isAlive || world.server.isDraining) {
    world.server.kill(0);
    world.startServer();
  }
}
