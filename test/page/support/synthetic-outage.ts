/** What a feed tells of an instance that connects, and of an outage that it recovers from, with every time known. */

import type { Evidence, FeedRecord, Transition } from '../../../src/feed/record.ts';
import { edgeId } from '../../../src/feed/watch/edge-id.ts';

export interface SyntheticInstance {
  readonly instance: string;
  readonly ranks: number;
}

/** How long the parts of an outage take, in milliseconds. */
export const NOTICED_MS = 20;
export const AWAY_MS = 1000;
/** From the server listening to `connected`. */
export const RECOVERED_MS = 100;

const LOST: Evidence = { kind: 'unreachable', message: 'the server closed the connection' };

/** Everything connects in epoch #1 and was in service before `atMs`. */
export function connected({ instance, ranks }: SyntheticInstance, atMs: number): FeedRecord[] {
  const seen = { type: 'machine', atMs, instance, epoch: '#1', pid: 4711, evidence: null } as const;
  const workers = Array.from({ length: ranks }, (_, rank) => {
    const machine = rankId(instance, rank);
    return { ...seen, machine, kind: 'worker', rank, state: 'connected' } as const;
  });
  return [
    { ...seen, machine: schedulerId(instance), kind: 'scheduler', rank: null, state: 'connected.serving' },
    ...workers,
    { type: 'server', atMs, what: 'listening', how: null },
  ];
}

/** The server is killed at `atMs`; every machine looks for it. */
export function lost(of: SyntheticInstance, atMs: number): FeedRecord[] {
  const noticedMs = atMs + NOTICED_MS;
  const machines = [schedulerId(of.instance), ...rankIds(of)];
  return [
    { type: 'server', atMs, what: 'stopped', how: 'kill' },
    ...machines.flatMap((machine, index) => {
      const from = index === 0 ? 'connected.serving' : 'connected';
      return [
        { ...step(machine, noticedMs, from, 'degraded.assessing', 'link.ended', '#1'), evidence: LOST },
        step(machine, noticedMs + 1, 'degraded.assessing', 'reconnecting.dialing', 'link.ended', '#1'),
      ];
    }),
  ];
}

/** A server listens at `atMs`, and all is registered again in epoch #2. */
export function recovered(of: SyntheticInstance, atMs: number): FeedRecord[] {
  const scheduler = schedulerId(of.instance);
  const message = { type: 'message', from: scheduler, to: 'ranks' } as const;
  const states = [
    'openingSession',
    'quiescing',
    'clearing.waiting',
    'spreading',
    'announcing',
    'sealing.waiting',
    'readingBack',
  ];
  const told = states.map((name, index) => {
    const from = index === 0 ? 'reconnecting.dialing' : `reRegistering.${states[index - 1]}`;
    return step(
      scheduler,
      atMs + 10 + index * 10,
      from,
      `reRegistering.${name}`,
      'link.opened',
      index < 4 ? '#1' : '#2',
    );
  });
  const ranks = rankIds(of).flatMap((rank, index) => [
    step(rank, atMs + 30 + index / 100, 'reconnecting.dialing', 'reRegistering.waiting', 'link.opened', '#1'),
    step(
      rank,
      atMs + 60 + index / 100,
      'reRegistering.waiting',
      'reRegistering.deciding',
      'announcement.received',
      '#2',
    ),
    step(rank, atMs + 65 + index / 100, 'reRegistering.deciding', 'connected', 'register done', '#2'),
    { type: 'message', atMs: atMs + 66 + index / 100, from: rank, to: scheduler, name: 'registered #2' } as const,
  ]);
  const end = step(
    scheduler,
    atMs + RECOVERED_MS,
    'reRegistering.readingBack',
    'connected.unaudited',
    'survey done',
    '#2',
  );
  return [
    { type: 'server', atMs, what: 'listening', how: null } as const,
    { ...message, atMs: atMs + 11, name: 'wait #1' },
    { ...message, atMs: atMs + 55, name: 'register #2' },
    ...told,
    ...ranks,
    end,
  ].sort((a, b) => a.atMs - b.atMs);
}

/** An outage as a whole, with the counts of the cache around it. */
export function outage(of: SyntheticInstance, atMs: number): FeedRecord[] {
  const cache = { type: 'cache', instance: of.instance, misses: 0 } as const;
  return [
    { ...cache, atMs: atMs - 2000, queries: 0, askedBlocks: 0, hitBlocks: 0, missesDegraded: 0 },
    { ...cache, atMs: atMs - 1000, queries: 10, askedBlocks: 100, hitBlocks: 75, missesDegraded: 0 },
    ...lost(of, atMs),
    { ...cache, atMs: atMs + AWAY_MS, queries: 20, askedBlocks: 200, hitBlocks: 75, missesDegraded: 10 },
    ...recovered(of, atMs + AWAY_MS),
  ];
}

/** So many dials of every machine that nobody can want to see each. */
export function herd(of: SyntheticInstance, atMs: number, records: number): FeedRecord[] {
  const machines = [schedulerId(of.instance), ...rankIds(of)];
  return Array.from({ length: records }, (_, index) => {
    const machine = machines[index % machines.length] ?? '';
    const isDial = Math.floor(index / machines.length) % 2 === 0;
    const [from, to] = isDial
      ? ['reconnecting.waiting', 'reconnecting.dialing']
      : ['connected', 'reconnecting.waiting'];
    return step(machine, atMs + index / 10, from, to, 'after redialBackoff', '#1');
  });
}

export function schedulerId(instance: string): string {
  return `${instance}/scheduler`;
}

export function rankId(instance: string, rank: number): string {
  return `${instance}/rank ${rank}`;
}

function rankIds({ instance, ranks }: SyntheticInstance): string[] {
  return Array.from({ length: ranks }, (_, rank) => rankId(instance, rank));
}

export function step(
  machine: string,
  atMs: number,
  from: string,
  to: string,
  event: string,
  epoch: string,
): Transition {
  return { type: 'transition', atMs, machine, from, to, event, epoch, evidence: null, edge: edgeOf(from, to) };
}

/** As in the machines: what leads to another outermost state leads to that, and leaves `connected` as a whole. */
function edgeOf(from: string, to: string): string {
  const [fromTop = '', toTop = ''] = [from.split('.')[0], to.split('.')[0]];
  if (fromTop === toTop) return edgeId(from, to);
  return edgeId(fromTop === 'connected' ? fromTop : from, toTop);
}
