import { describe, expect, it } from 'vitest';
import { figureFrom } from '../../bench/figure.ts';
import { tableFrom } from '../../bench/report.ts';
import { quantile } from '../../bench/statistics.ts';

describe('a figure', () => {
  const measured = { name: 'recovery', unit: 'ms', product: [9, 30, 10], floor: [4, 5, 100] } as const;

  it('compares the medians of product and floor', () => {
    expect(figureFrom(measured)).toMatchObject({
      value: 10,
      floor: 5,
      ratio: 2,
      samples: 3,
      target: null,
      isMet: null,
    });
  });

  it('meets a target for its ratio up to the target itself', () => {
    expect(figureFrom({ ...measured, target: { of: 'ratio', atMost: 2 } }).isMet).toBe(true);
    expect(figureFrom({ ...measured, target: { of: 'ratio', atMost: 1.9 } }).isMet).toBe(false);
  });

  it('meets a target for its value whatever the floor is', () => {
    expect(figureFrom({ ...measured, target: { of: 'value', atMost: 10 } }).isMet).toBe(true);
    expect(figureFrom({ ...measured, target: { of: 'value', atMost: 9 } }).isMet).toBe(false);
  });

  it('is printed with its target and whether it was met', () => {
    const table = tableFrom('title', [figureFrom({ ...measured, target: { of: 'ratio', atMost: 1.9 } })]);
    expect(table).toMatch(/recovery .* 10\.0 .* 5\.00 .* 2\.00× .* 3 .* ≤ 1\.9× floor .* missed/);
  });
});

describe('a quantile', () => {
  it('lies between the two samples around it', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2], 1)).toBe(4);
  });

  it('of no samples is an error', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });
});
