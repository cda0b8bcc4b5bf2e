import type { Attributes } from '@opentelemetry/api';
import { type SchedulerContext, stateOf } from '../../../machines/index.ts';
import type { SchedulerConnectorEvent } from '../event-times.ts';
import type { MachineStep } from '../machine-steps.ts';
import type { QueryRecord, SchedulerObserver } from '../observers.ts';
import type { Instruments } from './instruments.ts';
import { MachineMetrics } from './machine-metrics.ts';
import { QueryMetrics } from './query-metrics.ts';

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

  stepped(step: MachineStep<SchedulerContext>): void {
    this.#machine.stepped(step, step.context.announcement.epoch.counter);
    this.#state = stateOf(step.to);
  }

  happened(event: SchedulerConnectorEvent): void {
    const open = this.#instruments['pegaflow.connector.breakers.open'];
    const missed = this.#instruments['pegaflow.connector.ranks.missed'];
    switch (event.type) {
      case 'outage.ended':
        this.#recordOutage(event);
        break;
      case 'generation.ended':
        this.#instruments['pegaflow.connector.generations'].add(1, {
          ...this.#identity,
          'pegaflow.generation.action': event.generation.action,
          'pegaflow.generation.outcome': event.outcome,
        });
        break;
      case 'evidence.found':
        this.#instruments['pegaflow.connector.evidence'].add(1, {
          ...this.#identity,
          'pegaflow.evidence': event.evidence.of,
          'pegaflow.fault.kind': event.evidence.fault.kind,
        });
        break;
      case 'audit.ended':
        this.#instruments['pegaflow.connector.audits'].add(1, {
          ...this.#identity,
          'pegaflow.audit.outcome': event.outcome,
        });
        break;
      case 'dial.ended':
        this.#machine.dialed(event.outcome);
        break;
      case 'report.late':
        this.#machine.fenced();
        break;
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

  queried(query: QueryRecord): void {
    this.#queries.queried(query, this.#state);
  }

  fenced(): void {
    this.#machine.fenced();
  }

  stalled(stallMs: number): void {
    this.#machine.stalled(stallMs);
  }

  #recordOutage({ outage, tookMs, recoveryMs }: Extract<SchedulerConnectorEvent, { type: 'outage.ended' }>): void {
    const caused = { ...this.#identity, 'pegaflow.outage.cause': outage.cause };
    this.#instruments['pegaflow.connector.outage.duration'].record(tookMs / 1000, {
      ...caused,
      'pegaflow.server.end': outage.serverEnd,
      'pegaflow.outage.outcome': outage.outcome,
    });
    if (recoveryMs === null) return;
    this.#instruments['pegaflow.connector.recovery.duration'].record(recoveryMs / 1000, caused);
  }
}
