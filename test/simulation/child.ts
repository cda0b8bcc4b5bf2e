/** Plays seeds in this process and writes one line of JSON for each. Loaded with `hooks.ts`. */
import { Coverage } from './coverage.ts';
import { runSeed } from './run-seed.ts';

const { from, count, step, faults } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly from: number;
  readonly count: number;
  readonly step: number;
  readonly faults?: readonly number[];
};
const coverage = new Coverage();
for (let i = 0; i < count; i++) {
  const seed = from + i * step;
  coverage.seen.clear();
  const { violation, trace, ...result } = await runSeed({ seed, ...(faults ? { faults } : {}) }, coverage);
  const failure = violation && { invariant: violation.invariant, message: violation.message, trace };
  process.stdout.write(`${JSON.stringify({ ...result, failure, coverage: [...coverage.seen] })}\n`);
}
