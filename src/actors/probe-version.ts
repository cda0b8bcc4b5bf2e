import { fromPromise } from 'xstate';
import { FaultError, faultFrom } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

/**
 * Tells the server's version. A registration without a version is refused before anything is looked at, and the refusal
 * names the server's.
 */
export const createProbeVersion = (ownerOf: OwnerOf<{ readonly connection: Connection }>) =>
  fromPromise<string>(async ({ signal, system }) => {
    const { connection } = ownerOf(system);
    try {
      await connection.server.call((client) => client.registerContextBatch({ clientVersion: '' }, { signal }));
    } catch (error) {
      const { serverVersion } = faultFrom(error);
      if (serverVersion !== undefined) return serverVersion;
      throw error;
    }
    throw new FaultError({ kind: 'defect', message: 'the server accepted a registration without a version' });
  });
