import type { StateValue } from 'xstate';

/** A state value of XState as one dotted path. */
export function pathFrom(value: StateValue): string {
  if (typeof value === 'string') return value;
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? name : `${name}.${pathFrom(inner)}`))
    .join(',');
}
