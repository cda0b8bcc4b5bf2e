import { fromPromise } from 'xstate';
import { type Fault, faultFrom, type UnregisteredAtStop } from '../../machines/index.ts';
import { type Connection, ServerLink } from '../rpc/connection.ts';
import type { LinkEnd } from '../rpc/link.ts';
import { clearInstance } from './clear.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

export interface UnregisteringOwner extends InstanceOwner {
  /** Settles when the server's death, if it died, has been seen. */
  readonly deathSeen: (signal: AbortSignal) => Promise<void>;
}

/** The last act: unregisters over the link there is, or over a fresh one. */
export const createUnregisterAtStop = (ownerOf: OwnerOf<UnregisteringOwner>) =>
  fromPromise<UnregisteredAtStop>(async ({ system, signal }) => {
    const { connection, session, deathSeen } = ownerOf(system);
    try {
      const server = await reach(connection);
      if (!(server instanceof ServerLink)) {
        await deathSeen(signal);
        return { kind: 'unreachable', reason: server.message };
      }
      await clearInstance(server, session.instanceId);
      return { kind: 'clean' };
    } catch (error) {
      return { kind: 'unconfirmed', reason: faultFrom(error).message };
    }
  });

async function reach(connection: Connection): Promise<ServerLink | Fault> {
  if (connection.isUp) return connection.server;
  const end = await new Promise<LinkEnd | null>((resolve) => {
    connection.open({ up: () => resolve(null), draining: () => {}, down: resolve });
  });
  return end?.fault ?? connection.server;
}
