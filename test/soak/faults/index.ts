/** What a soak does to a run: each fault with its own end, so that afterwards nothing hinders a recovery. */

import { CLEAR } from '../network.ts';
import { ENGINE_FAULTS } from './engine-faults.ts';
import { admin, type FaultWorld, type SoakFault } from './fault.ts';
import { HOST_FAULTS } from './host-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { SERVER_FAULTS } from './server-faults.ts';

export const SOAK_FAULTS: readonly SoakFault[] = [
  ...ENGINE_FAULTS,
  ...HOST_FAULTS,
  ...NETWORK_FAULTS,
  ...SERVER_FAULTS,
];

/** Undoes whatever a fault may have left at a living engine. */
export async function clearFaults(world: Pick<FaultWorld, 'processes'>): Promise<void> {
  world.processes.tellNetwork({ type: 'network', condition: CLEAR });
  await admin(world, '/faults', { method: 'DELETE' });
}
