import type { StateValue } from 'xstate';

/** A state value of XState as one dotted path. */
export function pathFrom(value: StateValue): string {
  if (typeof value === 'string') return value;
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? name : `${name}.${pathFrom(inner)}`))
    .join(',');
}

/** The outermost state of a dotted path. */
export function stateOf(path: string): string {
  const end = path.indexOf('.');
  return end < 0 ? path : path.slice(0, end);
}
