import { fromPromise } from 'xstate';
import type { Budgets, Survey, SurveyInput } from '../../machines/index.ts';
import type { ServerLink } from '../rpc/connection.ts';
import { surveyFrom } from '../rpc/fault-from-rpc.ts';
import { PROBE_GROUP } from '../rpc/vital-calls.ts';
import { identified } from './identified.ts';
import type { InstanceOwner, OwnerOf } from './owners.ts';

export interface SurveyOwner extends InstanceOwner {
  readonly budgets: Budgets;
}

/** Asks how much of the instance is registered at the server and, where `identifies` is set, looks for the process that holds it. */
export const createSurvey = (ownerOf: OwnerOf<SurveyOwner>) =>
  fromPromise<Survey, SurveyInput | undefined>(async ({ input, signal, system }) => {
    const { budgets, connection, session } = ownerOf(system);
    const { server } = connection;
    const survey = await surveyOf(server, session.instanceId, signal);
    if (input?.identifies && survey.kind === 'sealed') await identified(server.identify(), budgets);
    return survey;
  });

async function surveyOf(server: ServerLink, instanceId: string, signal: AbortSignal): Promise<Survey> {
  try {
    await server.client.queryPrefetch({ instanceId, reqId: 'probe', groupId: PROBE_GROUP }, { signal });
  } catch (error) {
    return surveyFrom(server.refused(error));
  }
  return { kind: 'sealed' };
}
