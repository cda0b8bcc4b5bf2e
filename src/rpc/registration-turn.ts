import type { Budgets } from '../../machines/index.ts';
import { patientTimer } from '../patient-timer.ts';
import { holdName } from './held-name.ts';

/** What registers would note each other's copy threads if it did so at once. */
export interface RegistrationPlace {
  /** Of the server, as it is dialled: who holds our memory is known only after the registration. */
  readonly port: number;
  readonly deviceId: number;
}

/**
 * Waits for the turn to register there, among all ranks of this host that share its network namespace. `null`, and the window is
 * shared: it did not come in `registrationTurnMs`, or there are no turns here.
 */
export async function takeTurn({ port, deviceId }: RegistrationPlace, budgets: Budgets): Promise<Disposable | null> {
  let isLate = false;
  const cancel = patientTimer(budgets.registrationTurnMs, () => {
    isLate = true;
  });
  try {
    while (!isLate) {
      const turn = await holdName(`pegaflow-register-${port}-${deviceId}`);
      if (turn !== null) return turn;
      await new Promise<void>((resolve) => patientTimer(budgets.registrationTurnPollMs, resolve));
    }
    return null;
  } catch {
    return null;
  } finally {
    cancel();
  }
}
