import { fromPromise } from 'xstate';
import { faultFrom, type StopOutcome } from '../../machines/index.ts';
import type { Connection, ServerLink } from '../rpc/connection.ts';
import type { LinkEnd } from '../rpc/link.ts';
import { clearInstance } from './clear.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

/** The last act: unregisters over the link there is, or over a fresh one. Where nobody listens nothing is registered. */
export const createRetire = (ownerOf: OwnerOf<InstanceOwner>) =>
  fromPromise<StopOutcome>(async ({ system }) => {
    const { connection, session } = ownerOf(system);
    try {
      const server = await reach(connection);
      if (server === 'nobodyThere') return { kind: 'clean' };
      await clearInstance(server, session.instanceId);
      return { kind: 'clean' };
    } catch (error) {
      return { kind: 'unconfirmed', reason: faultFrom(error).message };
    }
  });

async function reach(connection: Connection): Promise<ServerLink | 'nobodyThere'> {
  try {
    return connection.server;
  } catch {
    const end = await new Promise<LinkEnd | null>((resolve) => {
      connection.open({ up: () => resolve(null), draining: () => {}, down: resolve });
    });
    return end?.cause === 'refused' ? 'nobodyThere' : connection.server;
  }
}
