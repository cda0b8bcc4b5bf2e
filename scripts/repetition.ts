/** What runs of the suite came to: read from vitest's JSON report, summed up for people. */

export interface RunResult {
  readonly durationMs: number;
  readonly tests: number;
  /** Full names of the tests that failed, with their files; or what else went wrong. */
  readonly failures: readonly string[];
}

interface Report {
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** `report` is the JSON of vitest, `null` where there is none; `exitCode` is `null` for a run that a signal ended. */
export function runResultFrom(report: string | null, exitCode: number | null, durationMs: number): RunResult {
  if (report === null) return { durationMs, tests: 0, failures: [`vitest ended with ${exitCode} and left no report`] };
  const { numTotalTests, testResults } = JSON.parse(report) as Report;
  const failures = testResults.flatMap(({ name, status, assertionResults }) => {
    const file = name.slice(name.lastIndexOf('/test/') + 1);
    const failed = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => fullName);
    return failed.length === 0 && status === 'failed' ? [file] : failed.map((fullName) => `${file}: ${fullName}`);
  });
  // An error outside every test, such as an unhandled rejection, fails the run alone.
  if (failures.length === 0 && exitCode !== 0) failures.push(`vitest ended with ${exitCode}`);
  return { durationMs, tests: numTotalTests, failures };
}

/** Runs, tests, durations, and each failure with the number of runs it failed in. */
export function repetitionText(results: readonly RunResult[]): string {
  const seconds = results.map(({ durationMs }) => Math.round(durationMs / 1_000));
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const byName = Map.groupBy(
    results.flatMap(({ failures }) => failures),
    (name) => name,
  );
  const lines = [...byName].map(([name, times]) => `  ${times.length} × ${name}`);
  const tests = Math.max(0, ...results.map(({ tests }) => tests));
  const range = `${Math.min(...seconds)} to ${Math.max(...seconds)} s each`;
  return [`${results.length} runs of ${tests} tests, ${range}: ${failed} failed`, ...lines, ''].join('\n');
}
