import { afterEach, expect, it, vi } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import { ProofSeeker, type ProofSeekerOptions } from '../../../src/connector/proof-seeker.ts';

afterEach(() => {
  vi.useRealTimers();
});

it('leaves no timer when it is disposed of while it looks for the threads of a registration', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const epoch = { schedulerBootId: 'boot', counter: 1 };
  const seeker = new ProofSeeker({
    budgets: budgetsFrom({}),
    deviceId: 0,
    // No thread of this process is named like those of a server.
    connection: { holders: [process.pid], holdersFound: async () => {}, server: { link: { addresses: null } } },
    doubts: () => [],
    service: () => null,
    registeredIn: () => epoch,
    onNews: () => {},
  } as unknown as ProofSeekerOptions);
  const note = await seeker.register(epoch);
  note.answered();
  const found = note.threadsFound();
  while (vi.getTimerCount() === 0) await new Promise(setImmediate);
  seeker[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
  await found;
});
