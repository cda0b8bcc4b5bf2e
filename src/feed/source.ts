import type { History } from './history/history.ts';
import type { Cache, Header, MachineSeen, ServerSeen } from './record.ts';
import { recordFrom } from './record-from.ts';

/** What can be served and recorded. */
export interface FeedSource {
  readonly history: History;
  header(): Promise<Header>;
  readonly status: FeedStatus;
}

/** Where everything stands: what `/status` answers. */
export interface FeedStatus {
  /** Name and version of the package that answers. */
  readonly product: string;
  readonly startedAtMs: number;
  /** When this was so. */
  readonly atMs: number;
  /** By instance, the scheduler first, then its ranks. `atMs` is when a machine entered its state. */
  readonly machines: readonly MachineSeen[];
  readonly caches: readonly Cache[];
  readonly server: ServerSeen | null;
}

export function statusOf(
  { product, startedAtMs }: Pick<FeedStatus, 'product' | 'startedAtMs'>,
  { standing }: History,
  atMs: number,
): FeedStatus {
  const machines = [...standing.machines.values()].sort(
    (a, b) => a.instance.localeCompare(b.instance) || (a.rank ?? -1) - (b.rank ?? -1),
  );
  return { product, startedAtMs, atMs, machines, caches: [...standing.caches.values()], server: standing.server };
}

/** What another process answered; `null` where it is no such thing. */
export function statusFrom(value: unknown): FeedStatus | null {
  if (typeof value !== 'object' || value === null) return null;
  const { atMs, machines, caches, server } = value as Partial<FeedStatus>;
  const isWhole =
    Number.isFinite(atMs) &&
    Array.isArray(machines) &&
    machines.every((machine) => recordFrom(machine)?.type === 'machine') &&
    Array.isArray(caches) &&
    caches.every((cache) => recordFrom(cache)?.type === 'cache') &&
    (server === null || recordFrom(server)?.type === 'server');
  return isWhole ? (value as FeedStatus) : null;
}
