import { fromPromise } from 'xstate';
import { FaultError } from '../../machines/index.ts';
import type { Connection, ServerLink } from '../rpc/connection.ts';

/**
 * Drops whatever the server holds under the instance's id. Has no deadline and heeds no signal: an UnregisterContext
 * that is cancelled leaves half an instance; it ends with its link.
 */
export const createClear = (connection: Connection, instanceId: string) =>
  fromPromise<void>(() => clearInstance(connection.server, instanceId));

/** "Not found" is success: the device mappings are dropped all the same. */
export async function clearInstance(server: ServerLink, instanceId: string): Promise<void> {
  try {
    await server.call((client) => client.unregisterContext({ instanceId }));
  } catch (error) {
    const isGone = error instanceof FaultError && error.fault.lost === 'instance';
    if (!isGone) throw error;
  }
}
