import { describe, expect, test } from 'vitest';
import { createActor, type InspectionEvent } from 'xstate';
import { budgetsFrom, type Fault, pathFrom, type RankReport } from '../../../../machines/index.ts';
import type { ConnectorStatus } from '../../../../src/connector/index.ts';
import type { FeedRecord, Transition } from '../../../../src/feed/record.ts';
import { watchMachine } from '../../../../src/feed/watch/watched.ts';
import { scriptedScheduler } from '../../../machines/scheduler-harness.ts';
import { machineClock, Script } from '../../../support/scripted-actors.ts';

const budgets = budgetsFrom();
const lost: Fault = { kind: 'unreachable', message: 'the server closed the connection' };

/** A scheduler's machine that is watched, with actors that do what the test says. */
function watched() {
  const script = new Script();
  const actor = createActor(scriptedScheduler(script), {
    input: { schedulerBootId: 'boot', worldSize: 1, budgets },
    clock: machineClock(script.clock),
  });
  const path = pathFrom(actor.getSnapshot().value);
  const status: ConnectorStatus = {
    state: 'reconnecting',
    path,
    epoch: null,
    sinceMs: 0,
    fault: null,
    openBreakers: [],
    missedRanks: [],
    fencing: null,
    heldLimit: null,
    outage: null,
    proofs: [],
    heldUpPreemptions: 0,
  };
  const inspect = (listener: (event: InspectionEvent) => void) => actor.system.inspect(listener).unsubscribe;
  const records: FeedRecord[] = [];
  const listeners = new Set<(status: ConnectorStatus) => void>();
  const onStatus = (listener: (status: ConnectorStatus) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const tellStatus = (change: Partial<ConnectorStatus>) => {
    for (const listener of listeners) listener({ ...status, ...change });
  };
  watchMachine({ instanceId: 'ignored', status, onStatus, inspect }, 'replica', (record) => records.push(record));
  actor.start();
  const report = (change: Partial<RankReport>, sequence: number) => {
    const said = { rank: 0, workerBootId: 'worker', epoch: null, outcome: 'pending', fault: null } as const;
    actor.send({ type: 'report.received', report: { ...said, sequence, idle: true, serves: false, ...change } });
  };
  /** What was told since it was last asked. */
  const news = () => records.splice(0);
  return { script, report, news, tellStatus, listeners };
}

const stepsOf = (records: readonly FeedRecord[]) =>
  records.filter((record): record is Transition => record.type === 'transition');
const wordsOf = (records: readonly FeedRecord[]) =>
  records.flatMap((record) => (record.type === 'message' ? [record.name] : []));

describe('what is told of a machine', () => {
  test('where it is left and entered in the same breath, each step with the event that set off the first', async () => {
    const { script, report, news } = watched();
    report({}, 1);
    script.tell({ type: 'link.opened' });
    await script.answer('openSession');
    const steps = stepsOf(news()).map(({ from, event, to, edge }) => [from, event, to, edge]);
    expect(steps).toEqual([
      ['reconnecting.dialing', 'link.opened', 'reRegistering.openingSession', 'reconnecting.dialing → reRegistering'],
      [
        'reRegistering.openingSession',
        'openSession done',
        'reRegistering.quiescing',
        'reRegistering.openingSession → reRegistering.quiescing',
      ],
      [
        'reRegistering.quiescing',
        'openSession done',
        'reRegistering.clearing.waiting',
        'reRegistering.quiescing → reRegistering.clearing',
      ],
    ]);
  });

  test('a wait that ends, by the name of the wait', () => {
    const { script, news } = watched();
    script.clock.tick(budgets.dialTimeoutMs);
    expect(stepsOf(news()).map(({ event }) => event)).toEqual(['after dialTimeout']);
  });

  test('what was found, with the step it came with and no other', () => {
    const { script, news } = watched();
    script.tell({ type: 'link.ended', cause: 'closed', fault: lost });
    script.clock.tick(60_000);
    const [refused, retry] = stepsOf(news());
    expect(refused?.evidence).toEqual(lost);
    expect(retry).toMatchObject({ from: 'reconnecting.waiting', evidence: null });
  });

  test('of a hash in what was found, eight letters', () => {
    const { script, news } = watched();
    const message = `block ${'c0ffee99'.repeat(8)} is not there`;
    script.tell({ type: 'link.ended', cause: 'closed', fault: { kind: 'defect', message } });
    expect(stepsOf(news())[0]?.evidence).toEqual({ kind: 'defect', message: 'block c0ffee99… is not there' });
  });

  test('what somebody should look at, whenever that changes', () => {
    const { tellStatus, news } = watched();
    news();
    const fault: Fault = { kind: 'rejected', message: 'disk full' };
    const openBreakers = [{ breaker: 'saves', fault, sinceMs: 1 }] as const;
    const held: Fault = { kind: 'unreachable', message: 'rank 1 holds 4 of its 16 blocks' };
    tellStatus({ openBreakers });
    tellStatus({ openBreakers, state: 'degraded' });
    tellStatus({
      heldLimit: { rank: 1, fault: held, sinceMs: 2 },
      missedRanks: [{ rank: 0, fault: lost, sinceMs: 2 }],
    });
    tellStatus({});
    expect(news()).toMatchObject([
      {
        type: 'troubles',
        machine: 'replica/scheduler',
        all: [{ what: 'saves are turned off but for a try now and then', message: 'rejected: disk full' }],
      },
      {
        all: [
          { what: 'rank 0 is missed, so queries miss and nothing is saved' },
          {
            what: 'too much memory is held, so queries miss and nothing is saved',
            message: `unreachable: ${held.message}`,
          },
        ],
      },
      { all: [] },
    ]);
  });

  test('an announcement once, although it is made again', async () => {
    const { script, report, news } = watched();
    expect(wordsOf(news())).toEqual(['wait']);
    report({}, 1);
    news();
    script.tell({ type: 'link.opened' });
    await script.answer('openSession');
    await script.answer('clear', { tookMs: 0 });
    expect(wordsOf(news())).toEqual(['register #1']);
  });

  test('a report once, until the rank says something else', () => {
    const { report, news } = watched();
    news();
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    report({}, 1);
    report({ idle: false }, 2);
    report({ epoch }, 3);
    report({ epoch, outcome: 'registered' }, 4);
    report({ epoch, outcome: 'registered' }, 5);
    expect(news().filter(({ type }) => type === 'message')).toMatchObject([
      { from: 'replica/rank 0', to: 'replica/scheduler', name: 'pending' },
      { from: 'replica/rank 0', to: 'replica/scheduler', name: 'pending #1' },
      { from: 'replica/rank 0', to: 'replica/scheduler', name: 'registered #1' },
    ]);
  });
});
