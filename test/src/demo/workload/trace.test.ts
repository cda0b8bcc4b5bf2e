import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTrace, type TraceLine, traceWorkload } from '../../../../src/demo/workload/trace.ts';
import { UsageError } from '../../../../src/usage-error.ts';

const good = '{"timestamp": 10, "input_length": 1000, "output_length": 5, "hash_ids": [0, 1]}';

let folder = '';
let path = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pegaflow-trace-'));
  path = join(folder, 'trace.jsonl');
});

afterEach(() => rmSync(folder, { recursive: true }));

function read(...lines: string[]): TraceLine[] {
  writeFileSync(path, lines.join('\n'));
  return readTrace(path);
}

describe('reading a trace', () => {
  test('takes its lines in order and skips empty ones', () => {
    expect(read(good, '', good.replace('10', '12'), '')).toEqual([
      { timestampMs: 10, inputTokens: 1000, hashIds: [0, 1] },
      { timestampMs: 12, inputTokens: 1000, hashIds: [0, 1] },
    ]);
  });

  test.each([
    ['{"timestamp": 1', 'not a JSON object'],
    ['[1, 2]', 'not a JSON object'],
    [good.replace('10', '-1'), '"timestamp" must be'],
    [good.replace('10', '9'), '"timestamp" 9 is before the line above (10)'],
    [good.replace('1000', '"many"'), '"input_length" must be'],
    [good.replace('1000', '0'), '"input_length" must be'],
    [good.replace('5', 'null'), '"output_length" must be'],
    [good.replace('[0, 1]', '7'), '"hash_ids" must be'],
    [good.replace('[0, 1]', '[0, 1.5]'), '"hash_ids" must be'],
    [good.replace('[0, 1]', '[0, 4294967296]'), '"hash_ids" must be'],
    [good.replace('[0, 1]', '[0]'), '"hash_ids" has 1 entries; 1000 tokens are 2 of 512'],
  ])('refuses %s with file and line', (line, complaint) => {
    expect(() => read(good, '', line)).toThrow(UsageError);
    expect(() => read(good, '', line)).toThrow(`${path}:3: ${complaint}`);
  });

  test('refuses a file that is empty or not there', () => {
    expect(() => read('')).toThrow(`${path}: the trace holds no request`);
    expect(() => readTrace('/dev/zero')).toThrow('/dev/zero:1: a line of more than 1048576 bytes');
    expect(() => readTrace(join(folder, 'none.jsonl'))).toThrow(/cannot read the trace: .*none\.jsonl/);
  });
});

describe('replaying a trace', () => {
  const lines: TraceLine[] = [
    { timestampMs: 1_000, inputTokens: 1_024, hashIds: [3, 4] },
    { timestampMs: 3_000, inputTokens: 1_300, hashIds: [3, 4, 5] },
  ];
  const take = (count: number, blocksPerId: number) => {
    const workload = traceWorkload(lines, { timeScale: 10, blocksPerId });
    return Array.from({ length: count }, () => workload.next().value);
  };

  test('scales time and counts from the first request', () => {
    expect(take(2, 1).map(({ arrivalMs }) => arrivalMs)).toEqual([0, 200]);
  });

  test('scales blocks, and leaves out what does not fill one', () => {
    expect(take(2, 1).map(({ blockHashes }) => blockHashes.length)).toEqual([2, 2]);
    expect(take(2, 32).map(({ blockHashes }) => blockHashes.length)).toEqual([64, 81]);
  });

  test('equal ids are equal prefixes', () => {
    const [first, second] = take(2, 4);
    expect(second?.blockHashes.slice(0, 8)).toEqual(first?.blockHashes);
  });

  test('starts over after the last line, with the same prompts under new ids', () => {
    const [first, second, again] = take(3, 1);
    expect(again?.blockHashes).toEqual(first?.blockHashes);
    expect(again?.requestId).not.toBe(first?.requestId);
    expect(again?.arrivalMs).toBeGreaterThan(second?.arrivalMs ?? 0);
  });
});
