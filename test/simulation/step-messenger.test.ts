import { expect, it } from 'vitest';
import type { Instance, Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import type { Random } from './random.ts';
import { StepMessenger, type StepOrder } from './step-messenger.ts';

const kernel = {
  loop: { nowMs: 0, schedule: (_: unknown, _delayMs: number, _phase: string, run: () => void) => run() },
};
const random = { chance: () => false, pick: () => undefined, between: () => 0 };

/** A rank that waits for the end of what is preempted until the test says so, and notes what is asked of it. */
function preempting() {
  const asked: string[] = [];
  const { promise, resolve } = Promise.withResolvers<{ unsafe: string[] }>();
  const worker = {
    handlePreemptions: () => promise,
    acceptMetadata: () => {},
    startLoad: () => asked.push('startLoad'),
    save: () => asked.push('save'),
    takeLoadErrors: () => [],
    takeFinished: () => {
      asked.push('takeFinished');
      return { loaded: [], saved: [] };
    },
    takeReport: () => ({ rank: 0, workerBootId: 'w', idle: true }),
  };
  const rank = { index: 0, worker, handedSaves: [], followed: new Set() } as unknown as Rank;
  return { asked, rank, end: () => resolve({ unsafe: [] }) };
}

function order(isCurrent: () => boolean): StepOrder {
  const metadata = { loads: [], saves: [] } as unknown as StepOrder['metadata'];
  return { metadata, repeated: null, finishedIds: [], preemptedIds: ['r1'], isCurrent, hear: () => {} };
}

function messengerFor(rank: Rank) {
  const instance = { ranks: [rank], isOneProcess: false, shape: { embedding: 'pushed' } } as unknown as Instance;
  return new StepMessenger(kernel as unknown as Kernel, random as unknown as Random, instance);
}

it.each([
  [true, ['startLoad', 'save', 'takeFinished']],
  [false, []],
])('a step goes on after its preemptions, its scheduler being there: %s', async (isThere, wanted) => {
  const { asked, rank, end } = preempting();
  let isCurrent = true;
  messengerFor(rank).order(
    rank,
    order(() => isCurrent),
  );
  isCurrent = isThere;
  end();
  await new Promise(setImmediate);
  expect(asked).toEqual(wanted);
});
