import { expect, it } from 'vitest';
import { runBench } from '../bench/bench-process.ts';
import { installed } from './installation.ts';
import { newestPublished } from './published-wheels.ts';

it('the bench compares queries with their floor on the newest published server', { timeout: 60_000 }, async () => {
  const { server } = installed(newestPublished);
  const { code, stdout } = await runBench('--server', 'real', '--only', 'query', '--quick', '--json');
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  expect(report.server).toEqual({ name: 'pegaflow-server', version: newestPublished, path: server });
  expect(report.sections.query).toHaveLength(2);
  for (const { samples, ratio } of report.sections.query) {
    expect(samples).toBe(200);
    expect(ratio).toBeGreaterThan(0);
  }
});
