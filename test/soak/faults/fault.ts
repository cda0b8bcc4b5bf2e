/** What a fault of a soak is, and what all of them need. */
import { setTimeout as pause } from 'node:timers/promises';
import { drawInteger } from '../../../src/demo/workload/random.ts';
import type { FaultPatch } from '../../../src/engine/faults.ts';
import type { SoakProcesses } from '../processes.ts';

/** What a fault is done to: two faults of one round never meet at the same. */
export type Touched = 'engine' | 'network' | 'switches' | 'host';

export interface SoakFault {
  readonly kind: string;
  readonly touches: Touched;
  /** How often it is drawn, against the others. */
  readonly weight: number;
  /** A process of the connector's side ends with it. */
  readonly replacesHost?: true;
  /** Settles when it is over. */
  readonly run: (world: FaultWorld) => Promise<unknown>;
}

export interface FaultWorld {
  readonly processes: SoakProcesses;
  readonly instanceId: string;
  readonly ranks: number;
  readonly random: () => number;
}

/** Bound on one call of the admin interface, in milliseconds: its engine may be frozen or gone. */
const ADMIN_TIMEOUT_MS = 2_000;

export function draw({ random }: FaultWorld, from: number, to: number): number {
  return drawInteger(random, from, to);
}

export function pick<Item>({ random }: FaultWorld, items: readonly [Item, ...Item[]]): Item {
  return items[drawInteger(random, 0, items.length - 1)] ?? items[0];
}

export async function frozen(pid: number | null, forMs: number): Promise<void> {
  if (pid === null) return;
  process.kill(pid, 'SIGSTOP');
  await pause(forMs);
  process.kill(pid, 'SIGCONT');
}

export async function switchOn(world: FaultWorld, patch: FaultPatch): Promise<void> {
  await admin(world, '/faults', { body: patch });
}

interface AdminCall {
  readonly method?: 'POST' | 'DELETE';
  readonly body?: object;
  /** `http://host:port`. Default: of the engine that runs now. */
  readonly at?: string | null;
}

/** One call of the admin interface, or of none: an engine that is frozen or gone has no switches to set. */
export async function admin(
  { processes }: Pick<FaultWorld, 'processes'>,
  path: string,
  call: AdminCall = {},
): Promise<void> {
  const { method = 'POST', body = {}, at = processes.admin } = call;
  const signal = AbortSignal.timeout(ADMIN_TIMEOUT_MS);
  await fetch(`${at}${path}`, { method, signal, body: JSON.stringify(body) }).catch(() => {});
}
