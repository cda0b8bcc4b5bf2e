import { describe, expect, test, vi } from 'vitest';
import { createActor, toPromise } from 'xstate';
import { type Fault, FaultError, type SurveyInput } from '../../../machines/index.ts';
import { createSurvey } from '../../../src/actors/survey.ts';

const SEALED: Fault = { kind: 'rejected', message: 'storage group 4294967295 out of range' };
const NOT_FOUND: Fault = { kind: 'rejected', lost: 'instance', message: 'instance one not found' };

interface Server {
  readonly fault?: Fault;
  readonly look?: Promise<void>;
}

/** Surveys a server that refuses the probe with `fault`, and tells what was asked of it and what came of that, in order. */
function surveyed(input: SurveyInput | undefined, { fault = SEALED, look = Promise.resolve() }: Server) {
  const steps: string[] = [];
  const queryPrefetch = () => {
    steps.push('query');
    return Promise.reject(new FaultError(fault));
  };
  const server = {
    client: { queryPrefetch },
    refused: (error: unknown) => error,
    identify: () => {
      steps.push('identify');
      return look;
    },
  };
  const owner = { budgets: { identifyTimeoutMs: 60_000 }, connection: { server }, session: { instanceId: 'one' } };
  const actor = createActor(
    createSurvey(() => owner as never),
    { input },
  );
  const survey = toPromise(actor).then(({ kind }) => steps.push(kind));
  actor.start();
  return { steps, survey };
}

describe('the survey of an instance', () => {
  test('asks for the registration alone', async () => {
    const { steps, survey } = surveyed(undefined, {});
    await survey;
    expect(steps).toEqual(['query', 'sealed']);
  });

  test('of one that is about to serve waits for the process that holds it', async () => {
    const look = Promise.withResolvers<void>();
    const { steps, survey } = surveyed({ identifies: true }, { look: look.promise });
    await vi.waitFor(() => expect(steps).toEqual(['query', 'identify']));
    look.resolve();
    await survey;
    expect(steps).toEqual(['query', 'identify', 'sealed']);
  });

  test('looks for nobody where nothing is registered', async () => {
    const { steps, survey } = surveyed({ identifies: true }, { fault: NOT_FOUND });
    await survey;
    expect(steps).toEqual(['query', 'notFound']);
  });
});
