import { expect, it } from 'vitest';
import { StreamGate } from '../../../src/rpc/stream-gate.ts';

const withdrawn = () => new Error('withdrawn');

function gateOf(limit: number) {
  const gate = new StreamGate();
  gate.setLimit(limit);
  const admitted: string[] = [];
  const enter = (name: string, { isVital = false, signal }: { isVital?: boolean; signal?: AbortSignal } = {}) => {
    const wait = gate.enter(isVital, signal, withdrawn);
    if (wait === null) admitted.push(name);
    const end = wait?.then(
      () => void admitted.push(name),
      (error: Error) => error.message,
    );
    return end ?? Promise.resolve();
  };
  return { gate, admitted, enter };
}

it('lets all through where the peer has no limit', () => {
  const gate = new StreamGate();
  for (let n = 0; n < 1_000; n++) expect(gate.enter(false, undefined, withdrawn)).toBeNull();
});

it('keeps streams free for vital calls, and lets these through before the ordinary ones that wait', async () => {
  const { gate, admitted, enter } = gateOf(4);
  const waiting = ['a', 'b', 'c', 'd'].map((name) => enter(name));
  expect(admitted).toEqual(['a', 'b']);
  void enter('session', { isVital: true });
  void enter('probe', { isVital: true });
  expect(admitted).toEqual(['a', 'b', 'session', 'probe']);
  const register = enter('register', { isVital: true });
  gate.leave(false);
  await register;
  expect(admitted.at(-1)).toBe('register');
  gate.leave(true);
  gate.leave(true);
  gate.leave(true);
  await waiting[2];
  expect(admitted).toEqual(['a', 'b', 'session', 'probe', 'register', 'c']);
});

it('lets one ordinary call through where the limit is smaller than what is kept free', () => {
  const { gate, admitted, enter } = gateOf(1);
  void enter('a');
  void enter('b');
  expect([admitted, gate.ordinaryLimit]).toEqual([['a'], 1]);
});

it('takes back whoever waits, by its signal or with the link, and never lets it through later', async () => {
  const { gate, admitted, enter } = gateOf(1);
  void enter('a');
  const controller = new AbortController();
  const aborted = enter('b', { signal: controller.signal });
  controller.abort();
  expect(await aborted).toBe('withdrawn');
  const left = enter('c');
  gate.close(new Error('the link ended'));
  expect(await left).toBe('the link ended');
  gate.leave(false);
  expect(admitted).toEqual(['a']);
});

it('lets those who wait through when the peer raises its limit', async () => {
  const { gate, admitted, enter } = gateOf(1);
  void enter('a');
  const second = enter('b');
  gate.setLimit(10);
  await second;
  expect(admitted).toEqual(['a', 'b']);
});
