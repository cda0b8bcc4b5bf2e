import { createActor } from 'xstate';
import {
  budgetsFrom,
  type Cleared,
  type Fault,
  pathFrom,
  type RankReport,
  type SchedulerDomainEvent,
  type SchedulerEvent,
  type ServerVersions,
  type Survey,
  type SurveyInput,
  schedulerMachine,
  type UnregisteredAtStop,
} from '../../machines/index.ts';
import { machineClock, Script } from '../support/scripted-actors.ts';

export const budgets = budgetsFrom();
export const gone: Fault = { kind: 'unreachable', message: 'the server closed the connection' };
export const sealed: Survey = { kind: 'sealed' };
export const notFound: Survey = { kind: 'notFound' };

/** The scheduler's machine with actors that do nothing until the test says what happened. */
export function scriptedScheduler(script: Script) {
  return schedulerMachine.provide({
    actors: {
      link: script.link<SchedulerEvent>(),
      openSession: script.promise<void>('openSession'),
      survey: script.promise<Survey, SurveyInput | undefined>('survey'),
      clear: script.promise<Cleared>('clear'),
      probeVersion: script.promise<string>('probeVersion'),
      watchRanks: script.watch<SchedulerEvent>(),
      unregisterAtStop: script.promise<UnregisteredAtStop>('unregisterAtStop'),
    },
  });
}

/** That machine at work. Ranks answer a `wait` at once, as those do that are told by a push, unless `answersWaits` is false. */
export function schedulerHarness({
  worldSize = 2,
  serverVersions = 'tested' as ServerVersions,
  answersWaits = true,
} = {}) {
  const script = new Script();
  const actor = createActor(scriptedScheduler(script), {
    input: { schedulerBootId: 'boot', worldSize, budgets, serverVersions },
    clock: machineClock(script.clock),
  });
  const errors: unknown[] = [];
  const emitted: SchedulerDomainEvent[] = [];
  actor.on('*', (event) => emitted.push(event));
  const path = () => pathFrom(actor.getSnapshot().value);
  const context = () => actor.getSnapshot().context;
  let sequence = 0;
  const report = (rank: number, change: Partial<RankReport> = {}) => {
    sequence += 1;
    actor.send({
      type: 'report.received',
      report: {
        rank,
        workerBootId: `worker-${rank}`,
        sequence,
        epoch: context().announcement.epoch,
        number: context().announcement.number ?? 0,
        outcome: 'registered',
        fault: null,
        idle: true,
        serves: false,
        ...change,
      },
    });
  };
  let answered = 0;
  const answerWait = () => {
    const { announcement, reports } = context();
    if (!answersWaits || announcement.action !== 'wait' || announcement.number === answered) return;
    answered = announcement.number ?? 0;
    for (const [rank, held] of reports.entries()) {
      if (held === null || held.outcome === 'stopped') continue;
      report(rank, { ...held, sequence: held.sequence + 1, epoch: announcement.epoch, number: answered });
    }
  };
  actor.subscribe({ next: answerWait, error: (error) => errors.push(error) });
  actor.start();
  const deliver = () => actor.send({ type: 'announcement.delivered', epoch: context().announcement.epoch });
  const toSession = async () => {
    script.tell({ type: 'link.opened' });
    await script.answer('openSession');
    // Where a rank has never been heard: the first start.
    if (path() === 'reRegistering.quiescing' && context().reports.includes(null)) {
      await script.answer('survey', notFound);
    }
  };
  const toSealing = async () => {
    await toSession();
    await script.answer('clear', { tookMs: 1 });
    deliver();
  };
  const toConnected = async () => {
    await toSealing();
    for (let rank = 0; rank < worldSize; rank += 1) report(rank);
    await script.answer('survey', sealed);
  };
  /** A generation that outlived its first audit. */
  const toServing = async () => {
    await toConnected();
    script.clock.tick(budgets.auditFirstMs);
    await script.answer('survey', sealed);
    script.clock.tick(budgets.outlivedMs - budgets.auditFirstMs);
  };
  /** Whatever is waited for happens, as it does where nothing is wrong. */
  const answerAll = async () => {
    if (path() === 'reconnecting.dialing') script.tell({ type: 'link.opened' });
    if (path() === 'reRegistering.announcing') deliver();
    if (path().startsWith('reRegistering.sealing')) {
      for (const [rank, held] of context().reports.entries()) {
        report(rank, held ? { workerBootId: held.workerBootId } : {});
      }
    }
    const answers: Record<string, unknown> = {
      clear: { tookMs: 1 },
      survey: path().startsWith('degraded') ? notFound : sealed,
      probeVersion: '0.25.1',
    };
    const [call] = script.pending;
    if (call) await script.answer(call, answers[call]);
    else script.clock.tick(1_000);
  };
  /** What was emitted so far of these types, in order; of all without one. */
  const told = (...types: readonly SchedulerDomainEvent['type'][]) =>
    emitted.filter(({ type }) => types.length === 0 || types.includes(type));
  return {
    script,
    actor,
    told,
    path,
    context,
    report,
    deliver,
    toSession,
    toSealing,
    toConnected,
    toServing,
    answerAll,
    errors,
  };
}
