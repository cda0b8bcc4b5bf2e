import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Repeats } from '../../../../src/telemetry/logs/repeats.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function recorded() {
  const lines: [string, object, string][] = [];
  const write = (level: string) => (fields: object, message: string) => lines.push([level, fields, message]);
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  return { lines, repeats: new Repeats(logger, 60_000) };
}

it('the first line of a kind is written at once, its repeats once a window with what the last one said', () => {
  const { lines, repeats } = recorded();
  for (const epoch of [1, 2, 3]) repeats.write('warn', 'cache lost', { epoch });
  expect(lines).toEqual([['warn', { epoch: 1 }, 'cache lost']]);
  vi.advanceTimersByTime(60_000);
  expect(lines.slice(1)).toEqual([['warn', { epoch: 3, repeats: 2 }, 'cache lost, 2 times more in 60000 ms']]);
  repeats.write('warn', 'cache lost', { epoch: 4 });
  expect(lines).toHaveLength(2);
});

it('a line that was not repeated is written at once again after the window', () => {
  const { lines, repeats } = recorded();
  repeats.write('warn', 'cache lost', { epoch: 1 });
  vi.advanceTimersByTime(60_000);
  repeats.write('warn', 'cache lost', { epoch: 2 });
  expect(lines.map(([, fields]) => fields)).toEqual([{ epoch: 1 }, { epoch: 2 }]);
});

it('one kind does not hold back another', () => {
  const { lines, repeats } = recorded();
  repeats.write('warn', 'cache lost', {});
  repeats.write('info', 'cache connected', {});
  expect(lines).toHaveLength(2);
});

it('a server that flaps for an hour makes some sixty lines of each kind, and no timer is left after it', () => {
  const { lines, repeats } = recorded();
  for (let second = 0; second < 3600; second += 1) {
    repeats.write('warn', 'cache lost', {});
    vi.advanceTimersByTime(1_000);
  }
  expect(lines.length).toBeGreaterThan(55);
  expect(lines.length).toBeLessThan(65);
  vi.advanceTimersByTime(120_000);
  expect(vi.getTimerCount()).toBe(0);
});
