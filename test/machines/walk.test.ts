import { describe, expect, it } from 'vitest';
import { type Edge, isWithin, leafIn } from '../../scripts/statecharts/edges.ts';
import { isMachineMade, type Walk, walk } from './walk.ts';
import { breakerPlan, breakerTables } from './walk-breaker.ts';
import { schedulerPlan, schedulerTables } from './walk-scheduler.ts';
import type { Tables } from './walk-tables.ts';
import { workerPlan, workerTables } from './walk-worker.ts';

/** With the state that all others lead to. */
const cases: [string, Walk, Tables, string][] = [
  ['scheduler', walk(schedulerPlan), schedulerTables, 'connected'],
  ['worker', walk(workerPlan), workerTables, 'connected'],
  ['breaker', walk(breakerPlan), breakerTables, 'closed'],
];

describe.each(cases)('S-55 walk of the %s machine', (name, walked, tables, goal) => {
  const { states, edges, leaves, events, effects } = walked;
  const finals = states.filter(({ isFinal }) => isFinal).map(({ path }) => path);
  const resting = leaves.filter((leaf) => !tables.passedThrough.includes(leaf) && !finals.includes(leaf));

  it('each event in each state does something or stands in the table of those that do nothing', () => {
    const pairs = leaves.flatMap((leaf) => events.map((event) => ({ leaf, event })));
    const because = ({ leaf, event }: (typeof pairs)[number]) => {
      if (tables.passedThrough.includes(leaf)) return 'left before anything can arrive';
      if (finals.includes(leaf)) return 'a machine that is done hears nothing';
      const owners = edges.filter((edge) => edge.event === event && isMachineMade(edge)).map(({ from }) => from);
      const isOver = owners.length > 0 && !owners.some((owner) => isWithin(leaf, owner));
      if (isOver) return 'the timer or actor ended with its state';
      return tables.ignored.find((row) => row.event === event && row.in.includes(leaf))?.because ?? null;
    };
    const effect = ({ leaf, event }: (typeof pairs)[number]) => effects.get(leaf)?.get(event) ?? 'nothing';
    const undefinedPairs = pairs.filter((pair) => effect(pair) === 'nothing' && because(pair) === null);
    const handledThough = pairs.filter((pair) => effect(pair) !== 'nothing' && because(pair) !== null);
    expect({ undefinedPairs, handledThough }).toEqual({ undefinedPairs: [], handledThough: [] });

    const rows = tables.ignored.flatMap((row) => row.in.map((leaf) => `${row.event} in ${leaf}`));
    const known = new Set(pairs.map(({ leaf, event }) => `${event} in ${leaf}`));
    expect(rows.filter((row, index) => !known.has(row) || rows.indexOf(row) !== index)).toEqual([]);

    const count = (wanted: string) => pairs.filter((pair) => effect(pair) === wanted).length;
    const reasons = Object.groupBy(
      pairs.filter((pair) => because(pair) !== null),
      (pair) => because(pair) ?? '',
    );
    console.info(
      [
        `${name}: ${pairs.length - undefinedPairs.length} of ${pairs.length} pairs (${leaves.length} states × ` +
          `${events.length} events), ${walked.situations} situations, ${walked.taken.size} of ${edges.length} edges`,
        `  ${count('moves')} lead elsewhere, ${count('acts')} only act, ${count('nothing')} do nothing:`,
        ...Object.entries(reasons).map(([reason, found]) => `  ${found?.length} × ${reason}`),
      ].join('\n'),
    );
  });

  it('no event in any situation breaks the machine, not even one that cannot happen', () => {
    expect(walked.broken).toEqual(new Set());
  });

  it('every way from a state is taken, and every guard says yes and no', () => {
    const untaken = edges.filter((edge) => !walked.taken.has(edge));
    expect(untaken.map(({ from, event, target }) => `${from} × ${event} → ${target}`)).toEqual([]);
    const onesided = [...walked.answers].filter(([, said]) => said.size < 2).map(([guard]) => guard);
    expect(onesided).toEqual([]);
    const guards = new Set(edges.flatMap(({ guard }) => guard?.replace('not ', '') ?? []));
    expect(new Set(walked.answers.keys())).toEqual(guards);
  });

  it('every state is reached, but those that are left at once', () => {
    expect(leaves.filter((leaf) => !effects.has(leaf))).toEqual(tables.passedThrough);
    const leftAnyway = (leaf: string) =>
      edges.some(({ from, kind, guard }) => from === leaf && kind === 'always' && !guard);
    expect(tables.passedThrough.filter((leaf) => !leftAnyway(leaf))).toEqual([]);
  });

  it('every state ends by time, but those that stand in the table', () => {
    const ends = (leaf: string) =>
      edges.some(({ kind, from, target }) => kind === 'after' && target !== null && isWithin(leaf, from));
    expect(resting.filter((leaf) => !ends(leaf))).toEqual(Object.keys(tables.endless));
  });

  it(`${goal} is within reach of every state but those of the end`, () => {
    const reached = leaves.filter((leaf) => effects.has(leaf) && canReach(walked, leaf, goal));
    expect(leaves.filter((leaf) => effects.has(leaf) && !reached.includes(leaf))).toEqual(tables.leaving);
  });

  it('every actor that a state runs is heard in its success and its failure, and no longer than a time', () => {
    // Those of the machine itself live as long as it does.
    const inStates = states.filter(({ path }) => path !== '');
    const running = inStates.flatMap(({ path, actors }) => actors.map((actor) => ({ path, actor })));
    expect(running.length > 0).toBe(name !== 'breaker');
    for (const { path, actor } of running) {
      const ends = edges.filter(({ from, trigger }) => from === path && trigger === actor).map(({ kind }) => kind);
      expect(new Set(ends), `${actor} in ${path}`).toEqual(new Set(['done', 'error']));
      const unbounded = leaves.filter((leaf) => isWithin(leaf, path) && !isLeftInTime(walked, leaf, path));
      expect(unbounded, `${actor} in ${path}`).toEqual([]);
    }
  });
});

function canReach({ successors }: Walk, leaf: string, goal: string): boolean {
  const found = new Set([leaf]);
  for (const next of found) for (const follower of successors.get(next) ?? []) found.add(follower);
  return [...found].some((path) => isWithin(path, goal));
}

/** Whether timers alone lead out of `state`. */
function isLeftInTime(walked: Walk, leaf: string, state: string, passed: readonly string[] = []): boolean {
  const { edges, states } = walked;
  const isTimer = ({ kind, from, target }: Edge) => kind === 'after' && isWithin(leaf, from) && target !== null;
  const targets = edges.filter(isTimer).map(({ target }) => leafIn(states, target ?? ''));
  const isOut = (next: string) =>
    !isWithin(next, state) || (!passed.includes(next) && isLeftInTime(walked, next, state, [...passed, leaf]));
  return targets.length > 0 && targets.every(isOut);
}
