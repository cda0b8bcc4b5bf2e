import { fromPromise } from 'xstate';
import { type Cleared, FaultError } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

/**
 * Drops whatever the server holds under the instance's id. Has no deadline and heeds no signal: an UnregisterContext
 * that is cancelled leaves half an instance; it ends with its link.
 */
export const createClear = (ownerOf: OwnerOf<InstanceOwner>) =>
  fromPromise<Cleared>(async ({ system }) => {
    const { connection, session } = ownerOf(system);
    const sinceMs = performance.now();
    await clearInstance(connection.server, session.instanceId);
    return { tookMs: performance.now() - sinceMs };
  });

const underWay = new WeakMap<ServerLink, Promise<void>>();

/**
 * Ends when the server has answered; who asks while another clear is under way on this link waits for that one's answer.
 * "Not found" is success: the device mappings are dropped all the same.
 */
export function clearInstance(server: ServerLink, instanceId: string): Promise<void> {
  const held = underWay.get(server);
  if (held) return held;
  const clear = unregister(server, instanceId).finally(() => underWay.delete(server));
  underWay.set(server, clear);
  return clear;
}

async function unregister(server: ServerLink, instanceId: string): Promise<void> {
  try {
    await server.callAlone((client) => client.unregisterContext({ instanceId }));
  } catch (error) {
    const isGone = error instanceof FaultError && error.fault.lost === 'instance';
    if (!isGone) throw error;
  }
}
