import type { Budgets } from '../../machines/index.ts';
import { ioFirstTimer } from '../io-first-timer.ts';

/**
 * Resolves when `look`, for the process that holds our memory, is over or has taken too long. Nothing is moved before: the death
 * of a server that is killed at once would be that of a process that nobody saw.
 */
export async function identified(look: Promise<void>, budgets: Budgets): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancel = ioFirstTimer(budgets.identifyTimeoutMs, late.resolve);
  try {
    await Promise.race([look, late.promise]);
  } finally {
    cancel();
  }
}
