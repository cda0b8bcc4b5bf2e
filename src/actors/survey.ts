import { fromPromise } from 'xstate';
import type { Survey } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import { surveyFromRpc } from '../rpc/fault-from-rpc.ts';

/** No instance has so many storage groups: asking for it tells how far the registration is, and touches nothing. */
const IMPOSSIBLE_GROUP = 0xffff_ffff;

/** Asks how much of the instance is registered at the server. */
export const createSurvey = (connection: Connection, instanceId: string) =>
  fromPromise<Survey>(async ({ signal }) => {
    const { client, link } = connection.server;
    try {
      await client.queryPrefetch({ instanceId, reqId: 'probe', groupId: IMPOSSIBLE_GROUP }, { signal });
    } catch (error) {
      return surveyFromRpc(error, link);
    }
    return { kind: 'sealed' };
  });
