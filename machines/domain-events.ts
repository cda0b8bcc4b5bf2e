/**
 * What the machines `emit`: what happened, in the words of the domain. XState delivers these after the step and before
 * subscribers see its state, never twice, and without a time: the façade stamps them. Logs, metrics and `status` follow
 * them and need not know any state.
 */
import type { Fault } from './faults.ts';

/** What a breaker turns off while it is open. */
export type BreakerName = 'saves' | 'loads';

export type SchedulerDomainEvent =
  /** The server refuses this work as such: none is given to it but for a try now and then. */
  | { readonly type: 'breaker.opened'; readonly breaker: BreakerName; readonly fault: Fault }
  /** A try was well: the work goes on. */
  | { readonly type: 'breaker.closed'; readonly breaker: BreakerName };

export type WorkerDomainEvent =
  /** Asked at the start, the server showed that it could carry out no load of this rank. */
  { readonly type: 'loads.impossible'; readonly fault: Fault };
