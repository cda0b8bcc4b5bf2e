import { fromPromise } from 'xstate';
import { type Cleared, FaultError } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

export interface ClearingOwner extends InstanceOwner {
  /** The server behind this link has dropped the instance, or had none. Resolves when it is noted. */
  readonly cleared: (server: ServerLink, hadIt: boolean) => Promise<void>;
}

/**
 * Drops whatever the server holds under the instance's id. Has no deadline and heeds no signal: an UnregisterContext
 * that is cancelled leaves half an instance; it ends with its link.
 */
export const createClear = (ownerOf: OwnerOf<ClearingOwner>) =>
  fromPromise<Cleared>(async ({ system }) => {
    const { connection, session, cleared } = ownerOf(system);
    const { server } = connection;
    const sinceMs = performance.now();
    const hadIt = await clearInstance(server, session.instanceId);
    const tookMs = performance.now() - sinceMs;
    await cleared(server, hadIt);
    return { tookMs };
  });

const underWay = new WeakMap<ServerLink, Promise<boolean>>();

/**
 * Ends when the server has answered; who asks while another clear is under way on this link waits for that one's answer.
 * "Not found" is success: the device mappings are dropped all the same. Tells whether the server had the instance.
 */
export function clearInstance(server: ServerLink, instanceId: string): Promise<boolean> {
  const held = underWay.get(server);
  if (held) return held;
  const clear = unregister(server, instanceId).finally(() => underWay.delete(server));
  underWay.set(server, clear);
  return clear;
}

async function unregister(server: ServerLink, instanceId: string): Promise<boolean> {
  try {
    await server.callAlone((client) => client.unregisterContext({ instanceId }));
    return true;
  } catch (error) {
    const isGone = error instanceof FaultError && error.fault.lost === 'instance';
    if (!isGone) throw error;
    return false;
  }
}
