import type { FeedRecord, MachineSeen, Transition } from '../../../src/feed/record.ts';

export const MACHINE = 'replica/scheduler';

export function seen(overrides: Partial<MachineSeen> = {}): MachineSeen {
  return {
    type: 'machine',
    atMs: 0,
    machine: MACHINE,
    kind: 'scheduler',
    instance: 'replica',
    rank: null,
    state: 'reconnecting.dialing',
    epoch: null,
    pid: 1,
    evidence: null,
    ...overrides,
  };
}

export function transition(atMs: number, from: string, to: string, overrides: Partial<Transition> = {}): Transition {
  const always = { machine: MACHINE, event: 'link.ended', epoch: null, evidence: null, edge: null };
  return { type: 'transition', atMs, from, to, ...always, ...overrides };
}

/** A machine that alternates between two states, a record for each step. */
export function flapping(count: number): FeedRecord[] {
  const states = ['connected', 'degraded'] as const;
  return Array.from({ length: count }, (_, index) =>
    transition(index + 1, states[index % 2]!, states[(index + 1) % 2]!),
  );
}
