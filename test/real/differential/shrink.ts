import { type Difference, type PlayOptions, play } from './play.ts';
import type { Sequence } from './step.ts';

const MAX_TRIALS = 80;

export interface Shrunk {
  readonly sequence: Sequence;
  readonly difference: Difference;
  /** The steps of the whole sequence that are left, counted from 0. */
  readonly kept: readonly number[];
}

/** The same difference with as few steps as can be found: what follows is cut off, and the rest left out in ever smaller parts. */
export const shrink = async (sequence: Sequence, found: Difference, options: PlayOptions): Promise<Shrunk> => {
  let kept = sequence.steps.map((_, index) => index).slice(0, found.index + 1);
  let difference = found;
  let trials = 0;
  for (let part = kept.length >> 1; part >= 1; part >>= 1) {
    for (let at = kept.length - 1 - part; at > -part && trials < MAX_TRIALS; at -= part) {
      const fewer = [...kept.slice(0, Math.max(at, 0)), ...kept.slice(at + part)];
      trials += 1;
      const again = (await play(only(sequence, fewer), options)).unlisted.find(isLike(found));
      if (again === undefined) continue;
      kept = fewer.slice(0, again.index + 1);
      difference = again;
    }
  }
  return { sequence: only(sequence, kept), difference, kept };
};

/** These steps of a sequence, counted from 0. */
export const only = (sequence: Sequence, kept: readonly number[]): Sequence => ({
  ...sequence,
  steps: kept.map((index) => sequence.steps[index]!),
});

/** Whether two differences are one: numbers and names in them do not count. */
export const isLike = (one: Difference) => (other: Difference) => kindOf(one) === kindOf(other);

export const kindOf = ({ step, what, real, engine }: Difference): string =>
  [
    step.op,
    what,
    ...[real, engine].map((text) => text.replace(/\d+|"[0-9a-f]{10}"|\b[abc]\b|\bl\d+x?\b/g, '#').slice(0, 160)),
  ].join(' | ');
