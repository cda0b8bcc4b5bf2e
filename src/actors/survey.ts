import { fromPromise } from 'xstate';
import type { Survey } from '../../machines/index.ts';
import { surveyFrom } from '../rpc/fault-from-rpc.ts';
import { PROBE_GROUP } from '../rpc/vital-calls.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

/** Asks how much of the instance is registered at the server. */
export const createSurvey = (ownerOf: OwnerOf<InstanceOwner>) =>
  fromPromise<Survey>(async ({ signal, system }) => {
    const { connection, session } = ownerOf(system);
    const { server } = connection;
    const { instanceId } = session;
    try {
      await server.client.queryPrefetch({ instanceId, reqId: 'probe', groupId: PROBE_GROUP }, { signal });
    } catch (error) {
      return surveyFrom(server.refused(error));
    }
    return { kind: 'sealed' };
  });
