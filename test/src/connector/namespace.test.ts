import { describe, expect, it } from 'vitest';
import { namespaceOf } from '../../../src/connector/index.ts';
import { namespaceFactors } from '../../support/namespace-factors.ts';

/** What the function of each wheel has said. */
const derived = {
  '0.23.12': {
    llama: 'd35c0931',
    'four stages': '040335fa',
    'MLA in one copy': '33d89ce5',
    'MLA split by layers, with context parallelism': 'a5261757',
    'fp8 without cross-layer blocks': 'f9456de0',
    'recurrent state': 'c6ccf971',
    'sliding window': 'eda8297f',
    'one group with a sliding window': 'd35c0931',
    'no such settings': 'd35c0931',
    'a path that Python escapes': '933c5731',
  },
  '0.24.6': {
    llama: 'b40bd5c2',
    'four stages': '5a67f382',
    'MLA in one copy': '88838cdd',
    'MLA split by layers, with context parallelism': 'b24e356a',
    'fp8 without cross-layer blocks': 'ec69a404',
    'recurrent state': '4fdc0263',
    'sliding window': '0a86e76a',
    'one group with a sliding window': 'b40bd5c2',
    'no such settings': '2dfc4609',
    'a path that Python escapes': 'fe8a7022',
  },
  '0.25.1': {
    llama: 'b40bd5c2',
    'four stages': '5a67f382',
    'MLA in one copy': '88838cdd',
    'MLA split by layers, with context parallelism': 'b24e356a',
    'fp8 without cross-layer blocks': 'ec69a404',
    'recurrent state': '4fdc0263',
    'sliding window': '4e280253',
    'one group with a sliding window': '416e50aa',
    'no such settings': '2dfc4609',
    'a path that Python escapes': 'fe8a7022',
  },
};

describe('namespaceOf', () => {
  it.each(Object.entries(derived))('is what the Python connector of %s derives', (version, expected) => {
    const made = Object.entries(namespaceFactors).map(([name, factors]) => [name, namespaceOf(factors, version)]);
    expect(Object.fromEntries(made)).toEqual(expected);
  });

  it('is that of the newest tested version by default', () => {
    expect(namespaceOf(namespaceFactors['sliding window']!)).toBe(derived['0.25.1']['sliding window']);
  });

  it('refuses a size that is no whole number', () => {
    expect(() => namespaceOf({ ...namespaceFactors['llama']!, tpSize: 1.5 })).toThrow('1.5 is not a whole number');
  });
});
