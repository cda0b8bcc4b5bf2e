import { describe, expect, test } from 'vitest';
import { chatWorkload, type DemoRequest } from '../../../../src/demo/workload/workload.ts';

function requestsOf(seed: number, count = 200): DemoRequest[] {
  const workload = chatWorkload({ seed, blockSizeTokens: 16, meanGapMs: 50 });
  return Array.from({ length: count }, () => workload.next().value);
}

const keysOf = ({ blockHashes }: DemoRequest) => blockHashes.map((hash) => Buffer.from(hash).toString('hex'));

describe('generated chats', () => {
  test('are the same for the same seed and others for another', () => {
    expect(requestsOf(7)).toEqual(requestsOf(7));
    expect(requestsOf(8).map(keysOf)).not.toEqual(requestsOf(7).map(keysOf));
  });

  test('share prefixes: most blocks of a prompt were asked for before', () => {
    const seen = new Set<string>();
    let known = 0;
    let total = 0;
    for (const keys of requestsOf(1).map(keysOf)) {
      known += keys.filter((key) => seen.has(key)).length;
      total += keys.length;
      for (const key of keys) seen.add(key);
    }
    expect(known / total).toBeGreaterThan(0.5);
    expect(known / total).toBeLessThan(1);
  });

  test('arrive in order, at the rate asked for, under ids of their own', () => {
    const requests = requestsOf(3, 2_000);
    const arrivals = requests.map(({ arrivalMs }) => arrivalMs);
    expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
    expect((arrivals.at(-1) ?? 0) / requests.length).toBeGreaterThan(40);
    expect((arrivals.at(-1) ?? 0) / requests.length).toBeLessThan(60);
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length);
  });
});
