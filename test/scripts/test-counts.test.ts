import { expect, test } from 'vitest';
import { countTests } from '../../scripts/supported-versions/test-counts.ts';

test('counts what was run on one version, what is about it and what its client did, by the outermost name', () => {
  const result = (outermost: string, status: string) => ({ ancestorTitles: [outermost, 'inner'], status });
  const one = [
    result('pegaflow-server 0.25.1', 'passed'),
    result('pegaflow-server 0.25.1', 'failed'),
    result('pegaflow-server 0.24.6', 'passed'),
    result('conformance of pegaflow-server 0.25.1', 'passed'),
  ];
  const two = [
    result('the client of pegaflow-llm 0.25.1 at the embedded engine', 'pending'),
    result('pegaflow-server 0.25.1', 'passed'),
    { ancestorTitles: [], status: 'passed' },
  ];
  const reports = [one, two].map((assertionResults) => ({ testResults: [{ assertionResults }] }));
  expect(countTests(reports, '0.25.1')).toEqual({
    tests: { passed: 2, failed: 1, skipped: 0 },
    ofServer: { passed: 1, failed: 0, skipped: 0 },
    client: { passed: 0, failed: 0, skipped: 1 },
  });
  expect(countTests(reports, '0.23.12')).toEqual({ tests: null, ofServer: null, client: null });
});
