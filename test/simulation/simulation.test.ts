import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seedThatCatches } from './hunt.ts';
import { mutants } from './mutants.ts';
import { play, type SeedResult } from './players.ts';
import { Report } from './report.ts';

const JOBS = 2;
const SEEDS = 150;
const TEST_TIMEOUT_MS = 240_000;

async function hashOf(seed: number): Promise<string> {
  let hash = '';
  const onResult = (result: SeedResult) => {
    hash = result.hash;
    return true;
  };
  await play({ from: seed, count: 1, jobs: 1, onResult });
  return hash;
}

describe('simulation', () => {
  it(
    'holds every invariant of the design in hours of faults',
    async () => {
      const report = new Report();
      const onResult = (result: SeedResult) => {
        report.add(result);
        return result.failure !== null;
      };
      await play({ from: 1, count: SEEDS, jobs: JOBS, onResult });
      expect(report.json.failures).toEqual([]);
      expect(report.tallies.seeds).toBe(SEEDS);
      expect(report.json.simulatedHours).toBeGreaterThan(SEEDS / 6);
      expect(report.tallies.verifiedBytes).toBeGreaterThan(0);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'plays a seed the same way in every process',
    async () => {
      const [once, again, another] = await Promise.all([hashOf(7), hashOf(7), hashOf(8)]);
      expect(again).toBe(once);
      expect(another).not.toBe(once);
    },
    TEST_TIMEOUT_MS,
  );

  it.each(['one name in every registration', 'no read-back', 'failed load final at once'])(
    'notices the defect "%s"',
    async (name) => {
      expect(mutants.map((mutant) => mutant.name)).toContain(name);
      expect(await seedThatCatches(name, 200, JOBS)).not.toBeNull();
    },
    TEST_TIMEOUT_MS,
  );

  it.each(mutants)('finds the place of the defect "$name", once', ({ file, find }) => {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    expect(source.split(find).length - 1).toBe(1);
  });
});
