import { fromPromise } from 'xstate';
import type { Epoch, RegistrationInput } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

export interface RankIdentity {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
}

export interface VerifyOwner {
  readonly connection: Connection;
  readonly rank: RankIdentity;
  /** A layer of this rank, by its name at the server in that epoch's registration. */
  readonly layerNameIn: (epoch: Epoch) => string;
}

/**
 * A Save of nothing: it touches nothing, and is answered OK only where the instance is sealed and this rank's layer is
 * registered by the name that it has in no other registration.
 */
export const createVerify = (ownerOf: OwnerOf<VerifyOwner>) =>
  fromPromise<void, RegistrationInput>(async ({ input, signal, system }) => {
    const { connection, rank, layerNameIn } = ownerOf(system);
    const saves = [{ layerName: layerNameIn(input.epoch), blockIds: [], blockHashes: [] }];
    await connection.server.call((client) => client.save({ ...rank, saves }, { signal }));
  });
