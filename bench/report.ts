import Table from 'cli-table3';
import type { Figure } from './figure.ts';

/** The figures of one section as a table for people. */
export function tableFrom(title: string, figures: readonly Figure[]): string {
  const table = new Table({
    head: [title, 'unit', 'product', 'floor', 'ratio', 'n', 'target', ''],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'left', 'left'],
    style: { head: [], border: [] },
  });
  for (const figure of figures) {
    table.push([
      figure.name,
      figure.unit,
      rounded(figure.value),
      figure.floor === null ? '' : rounded(figure.floor),
      figure.ratio === null ? '' : `${figure.ratio.toFixed(2)}×`,
      figure.samples,
      targetText(figure),
      figure.isMet === null ? '' : figure.isMet ? 'ok' : 'missed',
    ]);
  }
  return table.toString();
}

function targetText({ target, unit }: Figure): string {
  if (target === null) return '';
  return target.of === 'ratio' ? `≤ ${target.atMost}× floor` : `≤ ${target.atMost} ${unit}`;
}

/** Three digits that mean something. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
