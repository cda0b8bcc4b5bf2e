import type { Attributes } from '@opentelemetry/api';
import { type SchedulerContext, type SchedulerDomainEvent, stateOf } from '../../machines/index.ts';
import type { Instruments } from './instruments.ts';
import { MachineMetrics } from './machine-metrics.ts';
import type { MachineStep } from './machine-steps.ts';
import type { SchedulerObserver, ToldQuery } from './observers.ts';
import type { EndedOutage, SchedulerNews } from './outages.ts';
import { QueryMetrics } from './query-metrics.ts';

const AUDITING = 'connected.auditing';

/** What an operator measures of the scheduler's half. */
export class SchedulerMetrics implements Omit<SchedulerObserver, 'refusedInUnknownWords'> {
  #instruments: Instruments;
  #identity: Attributes;
  #machine: MachineMetrics;
  #queries: QueryMetrics;
  #state = '';

  constructor(instruments: Instruments, identity: Attributes) {
    this.#instruments = instruments;
    this.#identity = identity;
    this.#queries = new QueryMetrics(instruments, identity);
    this.#machine = new MachineMetrics(instruments, { ...identity, 'pegaflow.role': 'scheduler' });
  }

  stepped(step: MachineStep<SchedulerContext>, news: readonly SchedulerNews[]): void {
    this.#machine.stepped(step, step.context.announcement.epoch.counter);
    this.#state = stateOf(step.to);
    if (step.before !== null && step.context.lateReports > step.before.lateReports) this.#machine.fenced();
    this.#countEvidence(step);
    this.#countAudit(step);
    for (const one of news) {
      if (one.type === 'outage.ended') this.#recordOutage(one.outage);
      if (one.type === 'generation.ended') {
        this.#instruments['pegaflow.connector.generations'].add(1, {
          ...this.#identity,
          'pegaflow.generation.action': one.generation.action,
          'pegaflow.generation.outcome': one.outcome,
        });
      }
    }
  }

  happened(event: SchedulerDomainEvent): void {
    const open = this.#instruments['pegaflow.connector.breakers.open'];
    const missed = this.#instruments['pegaflow.connector.ranks.missed'];
    switch (event.type) {
      case 'breaker.opened':
        open.add(1, { ...this.#identity, 'pegaflow.breaker': event.breaker });
        break;
      case 'breaker.closed':
        open.add(-1, { ...this.#identity, 'pegaflow.breaker': event.breaker });
        break;
      case 'rank.missed':
        missed.add(1, this.#identity);
        break;
      case 'rank.returned':
        missed.add(-1, this.#identity);
        break;
      case 'heldLimit.reached':
        this.#instruments['pegaflow.connector.held_limit'].add(1, this.#identity);
        break;
      case 'heldLimit.left':
        this.#instruments['pegaflow.connector.held_limit'].add(-1, this.#identity);
        break;
      case 'blocks.withdrawn':
        this.#instruments['pegaflow.connector.blocks.withdrawn'].add(event.blocks, this.#identity);
        break;
    }
  }

  queried(query: ToldQuery): void {
    this.#queries.queried(query, this.#state);
  }

  fenced(): void {
    this.#machine.fenced();
  }

  stalled(stallMs: number): void {
    this.#machine.stalled(stallMs);
  }

  #countEvidence({ from, context, before }: MachineStep<SchedulerContext>): void {
    const { evidence } = context;
    if (evidence === null || before === null || evidence === before.evidence || stateOf(from) === 'reconnecting')
      return;
    this.#instruments['pegaflow.connector.evidence'].add(1, {
      ...this.#identity,
      'pegaflow.evidence': evidence.of,
      'pegaflow.fault.kind': evidence.fault.kind,
    });
  }

  /** One that something else interrupted says nothing. */
  #countAudit({ from, to, event, context }: MachineStep<SchedulerContext>): void {
    if (from !== AUDITING || to === AUDITING || !/^(actor\.|after\.)/.test(event)) return;
    const isRefuted = event === 'actor.done' && context.evidence?.fault.kind === 'forgotten';
    const outcome = to === 'connected.serving' ? 'sealed' : isRefuted ? 'refuted' : 'failed';
    this.#instruments['pegaflow.connector.audits'].add(1, { ...this.#identity, 'pegaflow.audit.outcome': outcome });
  }

  #recordOutage({ startMs, endMs, cause, serverEnd, outcome, reachedMs }: EndedOutage): void {
    const caused = { ...this.#identity, 'pegaflow.outage.cause': cause };
    this.#instruments['pegaflow.connector.outage.duration'].record((endMs - startMs) / 1000, {
      ...caused,
      'pegaflow.server.end': serverEnd,
      'pegaflow.outage.outcome': outcome,
    });
    if (outcome === 'stopped' || reachedMs === null) return;
    this.#instruments['pegaflow.connector.recovery.duration'].record((endMs - reachedMs) / 1000, caused);
  }
}
