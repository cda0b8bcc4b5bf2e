import type { FaultKind } from './faults.ts';

/** Faults that are left out of every plan, because the product cannot or does not yet stand them, and why. */
export const knownGaps: { readonly [kind in FaultKind]?: string } = {
  livingTwin:
    'The wire names an instance by its id alone. A living twin that clears us and seals the same shape under our id is ' +
    'answered for in every probe as we were, and its memory takes our loads.',
};
