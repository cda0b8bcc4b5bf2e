/** Stands for the machine itself: what leads from here leads from everywhere. */
export const ANY_STATE = 'any state';

/** Names the line of a chart from one state to another, both by path; the machine's own path is empty. */
export function edgeId(from: string, to: string): string {
  return `${from || ANY_STATE} → ${to}`;
}
