import { expect, test } from 'vitest';
import { milliseconds, percent, sizeText } from '../../../../src/cli/output/numbers.ts';

test('numbers are written for people', () => {
  expect([milliseconds(null), milliseconds(3.14), milliseconds(412.7)]).toEqual(['-', '3.1 ms', '413 ms']);
  expect([sizeText(0), sizeText(1_023), sizeText(1_536), sizeText(2 ** 41)]).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '2.0 TiB',
  ]);
  expect(percent(0.256)).toBe('25.6 %');
});
