import type { Attributes } from '@opentelemetry/api';
import { type DialOutcome, stateOf } from '../../../machines/index.ts';
import type { MachineStep } from '../machine-steps.ts';
import type { Instruments } from './instruments.ts';

type AnyStep = Pick<MachineStep<unknown>, 'from' | 'to' | 'event' | 'isLast' | 'atMs'>;

/** What both machines are measured by: states, transitions, dials, the epoch. */
export class MachineMetrics {
  #instruments: Instruments;
  #identity: Attributes;
  #enteredMs = 0;
  #epoch = -1;

  constructor(instruments: Instruments, identity: Attributes) {
    this.#instruments = instruments;
    this.#identity = identity;
  }

  stepped({ from, to, event, isLast, atMs }: AnyStep, epoch: number): void {
    this.#recordEpoch(epoch);
    const left = stateOf(from);
    const entered = stateOf(to);
    if (left === entered) return;
    const state = this.#instruments['pegaflow.connector.state'];
    // Nobody would take it back: a connector that stopped is in no state.
    if (!isLast) state.add(1, { ...this.#identity, 'pegaflow.state': entered });
    if (left !== '') {
      const attributes = { ...this.#identity, 'pegaflow.state': left };
      state.add(-1, attributes);
      this.#instruments['pegaflow.connector.state.duration'].record((atMs - this.#enteredMs) / 1000, attributes);
      this.#instruments['pegaflow.connector.transitions'].add(1, {
        ...this.#identity,
        'pegaflow.state.from': left,
        'pegaflow.state.to': entered,
        'pegaflow.event': event,
      });
    }
    this.#enteredMs = atMs;
  }

  dialed(outcome: DialOutcome): void {
    this.#instruments['pegaflow.connector.dials'].add(1, { ...this.#identity, 'pegaflow.dial.outcome': outcome });
  }

  stalled(stallMs: number): void {
    this.#instruments['pegaflow.connector.event_loop.stall.duration'].record(stallMs / 1000, this.#identity);
  }

  fenced(): void {
    this.#instruments['pegaflow.connector.stale_results'].add(1, this.#identity);
  }

  #recordEpoch(epoch: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#instruments['pegaflow.connector.epoch'].record(epoch, this.#identity);
  }
}
