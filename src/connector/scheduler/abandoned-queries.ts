import type { Budgets } from '../../../machines/index.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';

/** Unanswered queries that nobody waits for any more, of one scheduler. */
export const ABANDONED_QUERIES_MAX = 32;

/**
 * Queries that were given up and may still be answered. They are not withdrawn at once, for each may bring a lease that has to be
 * given back; so they are counted, and at the limit nothing more is asked. What is not answered in `abandonedQueryTimeoutMs` is
 * withdrawn: a lease that it brought expires at the server.
 */
export class AbandonedQueries {
  #budgets: Budgets;
  #unanswered = 0;

  constructor(budgets: Budgets) {
    this.#budgets = budgets;
  }

  get isFull(): boolean {
    return this.#unanswered >= ABANDONED_QUERIES_MAX;
  }

  add(answered: Promise<unknown>, withdraw: () => void): void {
    this.#unanswered += 1;
    const cancel = ioFirstTimer(this.#budgets.abandonedQueryTimeoutMs, withdraw);
    const end = () => {
      this.#unanswered -= 1;
      cancel();
    };
    answered.then(end, end);
  }
}
