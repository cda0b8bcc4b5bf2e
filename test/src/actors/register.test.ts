import { describe, expect, test } from 'vitest';
import { createActor, toPromise } from 'xstate';
import { createRegister } from '../../../src/actors/register.ts';

/** Registers at a server that answers as `call` does, and tells what was done to it, in order. */
async function registeredWith(call: () => Promise<unknown>) {
  const steps: string[] = [];
  const server = {
    callAlone: async () => {
      steps.push('register');
      await call();
      steps.push('answered');
    },
    identify: async () => {
      steps.push('identify');
    },
  };
  const beginRegistration = () => {
    steps.push('begin');
    return { answered: () => steps.push('its end') };
  };
  const noteRegistration = async () => ({
    answered: () => steps.push('note'),
    over: () => steps.push('over'),
    threadsFound: async () => steps.push('threads'),
  });
  const connection = { server, beginRegistration };
  const budgets = { identifyTimeoutMs: 1000 };
  const owner = { budgets, connection, registration: () => ({}), memory: () => ({}), noteRegistration };
  const register = createRegister(() => owner as never);
  const actor = createActor(register, { input: { epoch: { schedulerBootId: 'boot', counter: 1 } } as never });
  const ended = toPromise(actor);
  actor.start();
  await ended.catch(() => {});
  return steps;
}

describe('the registration of a rank', () => {
  test('looks for the process of the server that has accepted it and then for its threads, not before', async () => {
    expect(await registeredWith(async () => {})).toEqual([
      'begin',
      'register',
      'answered',
      'its end',
      'note',
      'over',
      'identify',
      'threads',
    ]);
  });

  test('looks for neither at one that refuses it', async () => {
    expect(await registeredWith(() => Promise.reject(new Error('no')))).toEqual(['begin', 'register', 'over']);
  });
});
