import { fromPromise } from 'xstate';
import { type Fault, faultFrom, type UnregisteredAtStop } from '../../machines/index.ts';
import { type Connection, ServerLink } from '../rpc/connection.ts';
import type { LinkEnd } from '../rpc/link.ts';
import { type ClearingOwner, clearInstance } from './clear.ts';
import type { OwnerOf } from './owners.ts';

export interface UnregisteringOwner extends ClearingOwner {
  /** Settles when the server's death, if it died, has been seen. */
  readonly deathSeen: (signal: AbortSignal) => Promise<void>;
  /** Another server than those that were asked may still hold the instance. */
  readonly mayBeElsewhere: () => boolean;
}

/** The last act: unregisters over the link there is, or over a fresh one. */
export const createUnregisterAtStop = (ownerOf: OwnerOf<UnregisteringOwner>) =>
  fromPromise<UnregisteredAtStop>(async ({ system, signal }) => {
    const { connection, session, deathSeen, cleared, mayBeElsewhere } = ownerOf(system);
    try {
      const server = await reach(connection);
      if (!(server instanceof ServerLink)) {
        await deathSeen(signal);
        return mayBeElsewhere() ? ELSEWHERE : { kind: 'unreachable', reason: server.message };
      }
      await cleared(server, await clearInstance(server, session.instanceId));
      return mayBeElsewhere() ? ELSEWHERE : { kind: 'clean' };
    } catch (error) {
      return { kind: 'unconfirmed', reason: faultFrom(error).message };
    }
  });

const ELSEWHERE: UnregisteredAtStop = {
  kind: 'unconfirmed',
  reason:
    'the address led to another server since a registration, and the one that has it is not proved dead: it may still hold the instance',
};

async function reach(connection: Connection): Promise<ServerLink | Fault> {
  if (connection.isUp) return connection.server;
  const end = await new Promise<LinkEnd | null>((resolve) => {
    connection.open({ up: () => resolve(null), draining: () => {}, down: resolve });
  });
  return end?.fault ?? connection.server;
}
