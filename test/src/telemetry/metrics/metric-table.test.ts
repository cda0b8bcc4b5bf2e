import { describe, expect, it } from 'vitest';
import { attributeTable } from '../../../../src/telemetry/metrics/attribute-table.ts';
import { metricTable } from '../../../../src/telemetry/metrics/metric-table.ts';

const rows = Object.entries(metricTable);

describe('the metric table', () => {
  it.each(rows)('%s has a name, a unit and attributes by the conventions', (name, row) => {
    expect(name).toMatch(/^(pegaflow\.connector|rpc\.client)(\.[a-z][a-z_]*)+$/);
    // UCUM: seconds for durations, a unit of its own in braces for counts, 1 for what has none.
    expect(row.unit).toMatch(name.endsWith('.duration') ? /^s$/ : /^(1|\{[a-z_]+\})$/);
    expect(row.kind === 'histogram').toBe(name.endsWith('.duration'));
    expect(row.attributes.filter((attribute) => !(attribute in attributeTable))).toEqual([]);
    expect(new Set(row.attributes).size).toBe(row.attributes.length);
  });

  it('has a description for each row, and ascending buckets', () => {
    for (const [, row] of rows) {
      expect(row.description).not.toBe('');
      const buckets: readonly number[] = 'buckets' in row ? row.buckets : [];
      expect([...buckets].sort((a, b) => a - b)).toEqual([...buckets]);
    }
  });

  it('uses every attribute that it declares for metrics', () => {
    const used = new Set<string>(rows.flatMap(([, { attributes }]) => attributes));
    expect(Object.keys(attributeTable).filter((attribute) => !used.has(attribute))).toEqual([]);
  });
});
