import type { Budgets } from '../../machines/index.ts';

/** One step between "the server is ready" and "what is saved can be hit", at its longest. */
interface Step {
  readonly what: string;
  /** Answers of a healthy server that are waited for, one after the other. */
  readonly answers: number;
  /** Budgets that run to their end. */
  readonly waits: readonly (keyof Budgets)[];
}

export interface Recovery {
  readonly name: string;
  readonly steps: readonly Step[];
}

const redial: Step = {
  what: 'the scheduler had just begun its longest wait between dials',
  answers: 0,
  waits: ['redialMaxMs'],
};
const dial: Step = { what: 'its dial', answers: 1, waits: [] };
const session: Step = { what: 'Session: its headers', answers: 1, waits: [] };
const clear: Step = { what: 'UnregisterContext', answers: 1, waits: [] };
const rankDial: Step = {
  what: 'the dial of the ranks, who were told when the scheduler’s was answered',
  answers: 1,
  waits: [],
};
const register: Step = { what: 'RegisterContextBatch of every rank', answers: 1, waits: [] };
const readBack: Step = { what: 'the read-back', answers: 1, waits: [] };
const saveAndHit: Step = { what: 'a save, and the query that hits it', answers: 2, waits: [] };
const generation = [session, clear, rankDial, register, readBack, saveAndHit];

/** What may lie between a server that is ready and the next hit; steps that run side by side are counted one after the other. */
export const recoveries: readonly Recovery[] = [
  { name: 'plain restart', steps: [redial, dial, ...generation] },
  {
    name: 'dropped SYNs',
    steps: [
      { what: 'the SYN of the scheduler’s dial was dropped just before', answers: 0, waits: ['dialTimeoutMs'] },
      redial,
      dial,
      session,
      {
        what: 'nothing proves that the old server is dead: the clear waits for ranks that are not quiet, while a rank’s dial goes nowhere',
        answers: 0,
        waits: ['quiesceTimeoutMs'],
      },
      clear,
      { what: 'the rank’s next dial after a full backoff', answers: 1, waits: ['rankRedialMaxMs'] },
      register,
      readBack,
      saveAndHit,
    ],
  },
  {
    name: 'after failed generations',
    steps: [
      redial,
      dial,
      session,
      {
        what: 'the generations before failed: the longest wait before the next',
        answers: 0,
        waits: ['voidBackoffMaxMs'],
      },
      clear,
      rankDial,
      register,
      readBack,
      saveAndHit,
    ],
  },
  {
    name: 'a herd at one server',
    steps: [
      redial,
      dial,
      session,
      clear,
      { what: 'the clear was slow: the registrations are spread', answers: 0, waits: ['spreadMaxMs'] },
      rankDial,
      register,
      readBack,
      saveAndHit,
    ],
  },
];

/** Longest time of a recovery, in milliseconds, where the server gives each answer within `answerMs`. */
export function longestMs({ steps }: Recovery, budgets: Budgets, answerMs: number): number {
  return steps.reduce((sumMs, { answers, waits }) => {
    const waitsMs = waits.reduce((waitMs, name) => waitMs + (budgets[name] ?? 0), 0);
    return sumMs + waitsMs + answers * answerMs;
  }, 0);
}
