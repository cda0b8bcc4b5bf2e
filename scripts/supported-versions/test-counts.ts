/** What vitest's JSON reports say of each published version, by the names of the tests. */
import type { ServerResult, TestCounts } from './results.ts';

export interface TestReport {
  readonly testResults: readonly { readonly assertionResults: readonly TestResult[] }[];
}

interface TestResult {
  /** Of the `describe`s around it, the outermost first. */
  readonly ancestorTitles: readonly string[];
  readonly status: string;
}

export function countTests(
  reports: readonly TestReport[],
  version: string,
): Pick<ServerResult, 'tests' | 'ofServer' | 'client'> {
  const results = reports.flatMap(({ testResults }) => testResults.flatMap(({ assertionResults }) => assertionResults));
  const counted = (isMeant: (outermost: string) => boolean): TestCounts | null => {
    const meant = results.filter(({ ancestorTitles: [outermost = ''] }) => isMeant(outermost));
    const withStatus = (status: string) => meant.filter((result) => result.status === status).length;
    const [passed, failed] = [withStatus('passed'), withStatus('failed')];
    return meant.length === 0 ? null : { passed, failed, skipped: meant.length - passed - failed };
  };
  const server = `pegaflow-server ${version}`;
  return {
    tests: counted((outermost) => outermost === server),
    ofServer: counted((outermost) => outermost !== server && outermost.includes(server)),
    client: counted((outermost) => outermost.includes(`pegaflow-llm ${version}`)),
  };
}
