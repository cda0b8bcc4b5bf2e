import { fromPromise } from 'xstate';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

export interface RankIdentity {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
}

/** An empty Save: it touches nothing, and is answered OK only where this rank is registered and the instance sealed. */
export const createVerify = (ownerOf: OwnerOf<{ readonly connection: Connection; readonly rank: RankIdentity }>) =>
  fromPromise<void>(async ({ signal, system }) => {
    const { connection, rank } = ownerOf(system);
    await connection.server.call((client) => client.save({ ...rank, saves: [] }, { signal }));
  });
