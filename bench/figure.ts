import { median } from './statistics.ts';

/** The most that a figure may be; `of` says whether its value or its ratio to the floor counts. */
export interface Target {
  readonly of: 'value' | 'ratio';
  readonly atMost: number;
}

/** One line of the report. */
export interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 'µs' | 'ns' | 'KiB' | '×' | '% core';
  /** Median over `samples`. */
  readonly value: number;
  /** Median of the hand-written counterpart in the same unit and the same run; `null` where there is none. */
  readonly floor: number | null;
  readonly ratio: number | null;
  readonly samples: number;
  readonly target: Target | null;
  /** `null` without a target. */
  readonly isMet: boolean | null;
}

/** What was measured, in one unit. Floor and product have as many samples. */
export interface Measurement {
  readonly name: string;
  readonly unit: Figure['unit'];
  readonly product: readonly number[];
  readonly floor?: readonly number[];
  readonly target?: Target;
}

export function figureFrom({ name, unit, product, floor, target }: Measurement): Figure {
  const value = median(product);
  const floorValue = floor === undefined ? null : median(floor);
  const ratio = floorValue === null ? null : value / floorValue;
  const judged = target?.of === 'ratio' ? ratio : value;
  return {
    name,
    unit,
    value,
    floor: floorValue,
    ratio,
    samples: product.length,
    target: target ?? null,
    isMet: target === undefined || judged === null ? null : judged <= target.atMost,
  };
}
