import type { Attributes } from '@opentelemetry/api';
import type { WorkerContext } from '../../../machines/index.ts';
import type { WorkerConnectorEvent } from '../event-times.ts';
import type { MachineStep } from '../machine-steps.ts';
import type { ToldRelease, TransferRecord, WorkerObserver } from '../observers.ts';
import type { Instruments } from './instruments.ts';
import { MachineMetrics } from './machine-metrics.ts';

/** What an operator measures of one rank's half. */
export class WorkerMetrics implements Omit<WorkerObserver, 'refusedInUnknownWords'> {
  #instruments: Instruments;
  #identity: Attributes;
  #machine: MachineMetrics;

  constructor(instruments: Instruments, identity: Attributes) {
    this.#instruments = instruments;
    this.#identity = identity;
    this.#machine = new MachineMetrics(instruments, { ...identity, 'pegaflow.role': 'worker' });
  }

  stepped(step: MachineStep<WorkerContext>): void {
    this.#machine.stepped(step, step.context.announcement?.epoch.counter ?? 0);
  }

  happened(event: WorkerConnectorEvent): void {
    if (event.type === 'dial.ended') this.#machine.dialed(event.outcome);
    else if (event.type === 'answer.late') this.#machine.fenced();
    else if (event.type === 'registration.lost') {
      this.#instruments['pegaflow.connector.registrations.lost'].add(1, this.#identity);
    } else if (event.type === 'registration.ended') {
      const attributes = { ...this.#identity, 'pegaflow.registration.outcome': event.outcome };
      this.#instruments['pegaflow.connector.registration.duration'].record(event.tookMs / 1000, attributes);
    } else if (event.type === 'server.fenced') {
      const { by, reason } = event;
      const attributes = { ...this.#identity, 'pegaflow.fencing.by': by, 'pegaflow.fencing.reason': reason };
      this.#instruments['pegaflow.connector.fencings'].add(1, attributes);
    } else if (event.type === 'preemption.heldUp') {
      this.#instruments['pegaflow.connector.preemptions.held_up'].add(1, this.#identity);
    } else if (event.type === 'proof.changed') {
      const proofs = this.#instruments['pegaflow.connector.proof'];
      if (event.before !== null) proofs.add(-1, { ...this.#identity, 'pegaflow.proof': event.before });
      proofs.add(1, { ...this.#identity, 'pegaflow.proof': event.proof });
    }
  }

  fenced(): void {
    this.#machine.fenced();
  }

  stalled(stallMs: number): void {
    this.#machine.stalled(stallMs);
  }

  refusedStaleLease(): void {
    this.#instruments['pegaflow.connector.stale_leases'].add(1, this.#identity);
  }

  ended({ kind, outcome, tookMs }: TransferRecord): void {
    const attributes = { ...this.#of(kind), 'pegaflow.transfer.outcome': outcome };
    this.#instruments['pegaflow.connector.transfer.duration'].record(tookMs / 1000, attributes);
  }

  quarantined(kind: TransferRecord['kind'], blocks: number): void {
    this.#instruments['pegaflow.connector.quarantine.blocks'].add(blocks, this.#of(kind));
  }

  leftQuarantine(kind: TransferRecord['kind'], blocks: number, by: string): void {
    this.#instruments['pegaflow.connector.quarantine.blocks'].add(-blocks, this.#of(kind));
    const attributes = { ...this.#of(kind), 'pegaflow.quarantine.end': by };
    this.#instruments['pegaflow.connector.quarantine.ended'].add(1, attributes);
  }

  releasedUnsafely({ kind }: ToldRelease): void {
    this.#instruments['pegaflow.connector.unsafe_releases'].add(1, this.#of(kind));
  }

  #of(kind: TransferRecord['kind']): Attributes {
    return { ...this.#identity, 'pegaflow.transfer.kind': kind };
  }
}
