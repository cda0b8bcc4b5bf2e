import type { LookupAddress } from 'node:dns';
import { expect, it, onTestFinished, vi } from 'vitest';
import { LookUps } from '../../../src/rpc/look-up.ts';

const first = { address: '10.0.0.1', family: 4 };
const second = { address: '10.0.0.2', family: 4 };

/** A resolver that answers when it is told to. */
function resolver() {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const asked: ((answer: LookupAddress[] | NodeJS.ErrnoException) => void)[] = [];
  const lookUps = new LookUps((_, __, done) => {
    asked.push((answer) => (Array.isArray(answer) ? done(null, answer) : done(answer, [])));
  });
  const dial = () =>
    new Promise<unknown>((resolve) =>
      lookUps.lookup('server.test', { all: true }, (error, addresses) => resolve(error ?? addresses)),
    );
  return { asked, dial };
}

it('has one look-up of a name under way, however many dials wait for it', async () => {
  const { asked, dial } = resolver();
  const dials = [dial(), dial(), dial()];
  expect(asked.length).toBe(1);
  asked[0]!([first]);
  expect(await Promise.all(dials)).toEqual([[first], [first], [first]]);
});

it('keeps an answer for a second, and a failure too', async () => {
  const { asked, dial } = resolver();
  const dialled = dial();
  const error = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  asked[0]!(error);
  expect(await dialled).toBe(error);
  vi.advanceTimersByTime(900);
  expect(await dial()).toBe(error);
  expect(asked.length).toBe(1);
  vi.advanceTimersByTime(200);
  const again = dial();
  asked[1]!([first]);
  expect(await again).toEqual([first]);
  vi.advanceTimersByTime(900);
  expect(await dial()).toEqual([first]);
  expect(asked.length).toBe(2);
});

it('dials the last address while the next look-up is under way, and after it failed', async () => {
  const { asked, dial } = resolver();
  const dialled = dial();
  asked[0]!([first]);
  await dialled;
  vi.advanceTimersByTime(2_000);
  expect(await dial()).toEqual([first]);
  expect(await dial()).toEqual([first]);
  expect(asked.length).toBe(2);
  asked[1]!(Object.assign(new Error('the resolver is away'), { code: 'EAI_AGAIN' }));
  expect(await dial()).toEqual([first]);
  vi.advanceTimersByTime(2_000);
  await dial();
  asked[2]!([second]);
  expect(await dial()).toEqual([second]);
});
