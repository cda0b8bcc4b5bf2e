/** What happens to the server's process. */
import { setTimeout as pause } from 'node:timers/promises';
import { admin, draw, type FaultWorld, frozen, type SoakFault, switchOn } from './fault.ts';

export const ENGINE_FAULTS: readonly SoakFault[] = [
  { kind: 'kill', touches: 'engine', weight: 5, run: (world) => restart(world, 'SIGKILL', draw(world, 0, 5_000)) },
  { kind: 'kill, back at once', touches: 'engine', weight: 3, run: (world) => restart(world, 'SIGKILL', 0) },
  { kind: 'double crash', touches: 'engine', weight: 3, run: doubleCrash },
  { kind: 'drain', touches: 'engine', weight: 3, run: (world) => restart(world, 'SIGINT', draw(world, 0, 2_000)) },
  { kind: 'crash, copies on', touches: 'engine', weight: 2, run: crashCopyingOn },
  { kind: 'freeze', touches: 'engine', weight: 4, run: (world) => freezeEngine(world, 10_000) },
  { kind: 'proxy killed', touches: 'engine', weight: 3, run: killProxy },
  { kind: 'freeze, then kill', touches: 'engine', weight: 2, run: freezeThenKill },
  { kind: 'freeze, late copies', touches: 'engine', weight: 2, run: freezeWithCopies },
];

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

/** The engine stays behind the next proxy until it is started again. */
async function killProxy(world: FaultWorld): Promise<void> {
  const { processes } = world;
  await processes.endEngine('kill', (pid) => process.kill(pid, 'SIGKILL'));
  await processes.startEngine({ isBehindProxy: true });
  await pause(draw(world, 1_000, 4_000));
  await switchOn(world, { copyDelayMs: draw(world, 10, 50) });
  await pause(draw(world, 100, 500));
  await processes.killProxy();
  await pause(draw(world, 0, 1_000));
  await processes.startProxy();
  await switchOn(world, { copyDelayMs: null });
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
