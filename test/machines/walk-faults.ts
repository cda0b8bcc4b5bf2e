import type { Fault } from '../../machines/index.ts';

export const unreachable: Fault = { kind: 'unreachable', message: 'reset' };

/** One fault of each kind, and of each thing that can be lost where that makes a difference. */
export const faults: readonly Fault[] = [
  unreachable,
  { kind: 'timedOut', message: 'no answer' },
  { kind: 'forgotten', message: 'instance not found', lost: 'instance' },
  { kind: 'forgotten', message: '1 of 2 workers', lost: 'seal' },
  { kind: 'forgotten', message: 'unknown lease', lost: 'lease' },
  { kind: 'incompatible', message: 'another version' },
  { kind: 'rejected', message: 'bad argument' },
  { kind: 'rejected', message: 'too many requests', retryAfterMs: 1_000 },
  { kind: 'defect', message: 'unheard of' },
];
