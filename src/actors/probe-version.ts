import { fromPromise } from 'xstate';
import { FaultError, faultFrom } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

/**
 * Ends well when the server's version is ours. A registration without a version is refused before anything is looked
 * at, and the refusal names the server's version.
 */
export const createProbeVersion = (
  ownerOf: OwnerOf<{ readonly connection: Connection; readonly clientVersion: string }>,
) =>
  fromPromise<void>(async ({ signal, system }) => {
    const { connection, clientVersion } = ownerOf(system);
    try {
      await connection.server.call((client) => client.registerContextBatch({ clientVersion: '' }, { signal }));
    } catch (error) {
      const fault = faultFrom(error);
      if (fault.kind === 'incompatible' && fault.serverVersion === clientVersion) return;
      throw error;
    }
    throw new FaultError({ kind: 'defect', message: 'the server accepted a registration without a version' });
  });
