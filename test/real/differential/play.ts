import { type Compared, LISTED_DIFFERENCES } from './listed-differences.ts';
import type { Outcome } from './outcome.ts';
import type { ServerPairs } from './server-pairs.ts';
import { Side } from './side.ts';
import type { Sequence, Step } from './step.ts';

export interface Difference extends Compared {
  /** Which step of the sequence it is. */
  readonly index: number;
}

export interface Played {
  readonly outcomes: number;
  readonly equal: number;
  /** How often each listed difference occurred. */
  readonly listed: ReadonlyMap<string, number>;
  readonly unlisted: readonly Difference[];
}

export interface PlayOptions {
  readonly pairs: ServerPairs;
  /** What follows an unlisted difference is often its consequence. */
  readonly stopsAtDifference: boolean;
  readonly onStep?: (index: number, step: Step, real: readonly Outcome[], engine: readonly Outcome[]) => void;
}

type Sides = readonly [Side, Side];

const MAX_ASKS = 25;

let runs = 0;

/** Does the same to a real server and to an engine, and compares what comes of it. */
export const play = async (sequence: Sequence, options: PlayOptions): Promise<Played> => {
  const { pairs, stopsAtDifference, onStep } = options;
  const pair = await pairs.take(sequence);
  const prefix = `run${++runs}-`;
  const sides = [
    new Side('real', pair.real, pairs.clients, prefix),
    new Side('engine', pair.engine, pairs.clients, prefix),
  ] as const;
  const listed = new Map<string, number>();
  const unlisted: Difference[] = [];
  let outcomes = 0;
  let equal = 0;
  try {
    for (const [index, step] of sequence.steps.entries()) {
      const [real, engine] = await settled(step, sides);
      onStep?.(index, step, real, engine);
      outcomes += Math.max(real.length, engine.length);
      const differences = differing(step, real, engine);
      equal += Math.max(real.length, engine.length) - differences.length;
      // What one call came to is one difference: its state and its bytes follow from its answer.
      const ofStep = differences.map(listedId).find((id) => id !== undefined);
      for (const difference of differences) {
        const id = ofStep;
        if (id === undefined) unlisted.push({ ...difference, index });
        else listed.set(id, (listed.get(id) ?? 0) + 1);
      }
      if (stopsAtDifference && !unlisted.every(isOfWords)) break;
      if (differences.length > 0) await refill(step, index, sides);
    }
  } finally {
    await Promise.all(sides.map((side) => side[Symbol.asyncDispose]()));
    await pairs.giveBack(pair);
  }
  return { outcomes, equal, listed, unlisted };
};

/**
 * A step at both servers. A saved block becomes visible a moment after the answer: a query that finds it at one server alone
 * is asked again.
 */
const settled = async (step: Step, sides: Sides): Promise<readonly [readonly Outcome[], readonly Outcome[]]> => {
  for (let attempt = 0; ; attempt++) {
    const both = await Promise.all([sides[0].play(step), sides[1].play(step)]);
    const areReady = both.every(([outcome]) => outcome?.text.startsWith('{"hits":'));
    if (step.op !== 'query' || !areReady || both[0][0]?.text === both[1][0]?.text || attempt === MAX_ASKS) return both;
    const { client, as } = step;
    if (as !== undefined) await Promise.all(sides.map((side) => side.play({ op: 'release', client, lease: `$${as}` })));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const listedId = (compared: Compared): string | undefined =>
  LISTED_DIFFERENCES.find(({ matches }) => matches(compared))?.id;

/** Two refusals of one kind: what follows is the same at both servers. */
const isOfWords = ({ real, engine }: Compared): boolean => {
  const kindOf = (text: string) => /^\w+ \d+ (?=")/.exec(text)?.[0];
  return kindOf(real) !== undefined && kindOf(real) === kindOf(engine);
};

const differing = (step: Step, real: readonly Outcome[], engine: readonly Outcome[]): Compared[] =>
  Array.from({ length: Math.max(real.length, engine.length) }, (_, index) => ({
    step,
    what: real[index]?.what ?? engine[index]!.what,
    real: real[index]?.text ?? 'nothing',
    engine: engine[index]?.text ?? 'nothing',
  })).filter((compared) => compared.real !== compared.engine);

/** Bytes that one server alone has loaded must not be saved by later steps. */
const refill = async (step: Step, index: number, sides: Sides): Promise<void> => {
  if (step.op !== 'load') return;
  for (const { memory } of step.lands ?? []) {
    await Promise.all(sides.map((side) => side.play({ op: 'fill', memory, seed: `after step ${index}` })));
  }
};
