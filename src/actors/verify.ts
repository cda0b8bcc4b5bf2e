import { fromPromise } from 'xstate';
import type { Connection } from '../rpc/connection.ts';

export interface RankIdentity {
  readonly instanceId: string;
  readonly tpRank: number;
  readonly ppRank: number;
  readonly deviceId: number;
}

/** An empty Save: it touches nothing, and is answered OK only where this rank is registered and the instance sealed. */
export const createVerify = (connection: Connection, rank: RankIdentity) =>
  fromPromise<void>(async ({ signal }) => {
    await connection.server.call((client) => client.save({ ...rank, saves: [] }, { signal }));
  });
