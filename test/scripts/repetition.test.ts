import { describe, expect, test } from 'vitest';
import { repetitionText, runResultFrom } from '../../scripts/repetition.ts';

function reportOf(tests: readonly { readonly fullName: string; readonly status: string }[], status = 'passed'): string {
  const testResults = [{ name: '/somewhere/test/src/a.test.ts', status, assertionResults: tests }];
  return JSON.stringify({ numTotalTests: tests.length, testResults });
}

const passed = { fullName: 'a thing works', status: 'passed' };
const failed = { fullName: 'a thing breaks', status: 'failed' };

describe('the result of a run', () => {
  test.each([
    ['names what failed', reportOf([passed, failed], 'failed'), 1, ['test/src/a.test.ts: a thing breaks']],
    ['names a file that could not be loaded', reportOf([], 'failed'), 1, ['test/src/a.test.ts']],
    ['has no failures where all passed', reportOf([passed]), 0, []],
    ['knows a run that failed outside every test', reportOf([passed]), 1, ['vitest ended with 1']],
    ['knows a run without a report', null, null, ['vitest ended with null and left no report']],
  ])('%s', (_, report, exitCode, failures) => {
    expect(runResultFrom(report, exitCode, 1_000).failures).toEqual(failures);
  });
});

test('the summary counts each failure once a run', () => {
  const results = [
    { durationMs: 90_000, tests: 2, failures: ['x'] },
    { durationMs: 95_400, tests: 2, failures: ['x', 'y'] },
    { durationMs: 91_000, tests: 2, failures: [] },
  ];
  expect(repetitionText(results)).toBe('3 runs of 2 tests, 90 to 95 s each: 2 failed\n  2 × x\n  1 × y\n');
});
