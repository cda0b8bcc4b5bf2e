import type { Budgets } from '../../../machines/index.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import { holdName } from './held-name.ts';

/** What registers would note each other's copy threads if it did so at once. */
export interface RegistrationPlace {
  /** Of the server, as it is dialled: who holds our memory is known only after the registration. */
  readonly port: number;
  readonly deviceId: number;
}

/**
 * Waits for the turn to register there, among all ranks of this host that share its network namespace. `null`, and the window is
 * shared: it did not come in `registrationTurnMs`, the signal came first, or there are no turns here.
 */
export async function takeTurn(
  { port, deviceId }: RegistrationPlace,
  budgets: Budgets,
  signal?: AbortSignal,
): Promise<Disposable | null> {
  const late = new AbortController();
  const giveUp = () => late.abort();
  const cancel = ioFirstTimer(budgets.registrationTurnMs, giveUp);
  signal?.addEventListener('abort', giveUp);
  try {
    while (!late.signal.aborted && signal?.aborted !== true) {
      const turn = await holdName(`pegaflow-register-${port}-${deviceId}`);
      if (turn !== null) return turn;
      await nextTry(budgets, late.signal);
    }
    return null;
  } catch {
    return null;
  } finally {
    cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}

async function nextTry(budgets: Budgets, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const goOn = () => resolve();
  const cancel = ioFirstTimer(budgets.registrationTurnPollMs, goOn);
  signal.addEventListener('abort', goOn);
  await promise;
  signal.removeEventListener('abort', goOn);
  cancel();
}
