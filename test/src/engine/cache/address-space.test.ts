import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressSpace, type UsedRange } from '../../../../src/engine/cache/address-space.ts';

const SIZE = 2048;

describe.each([
  ['0.25.1', true, { eighteenth: 52, usedUnits: 57 }],
  ['0.24.6', false, { eighteenth: 51, usedUnits: 56 }],
])('the address space of %s', (_, isSizeClassed, expected) => {
  test('gives the addresses that the published server gave for the same calls', () => {
    const space = new AddressSpace(SIZE, isSizeClassed);
    const allocated = [1, 3, 12, 18, 17, 5].map((units) => space.allocate(units)!);
    expect(allocated.map(({ offset }) => offset)).toEqual([0, 1, 4, 16, 34, expected.eighteenth]);
    expect(space.usedUnits).toBe(expected.usedUnits);
    space.free(allocated[3]!);
    expect([space.allocate(4)!.offset, space.allocate(9)!.offset]).toEqual([16, 20]);
  });
});

test('with size classes, eight for each power of two, a freed range is found again', () => {
  const space = new AddressSpace(SIZE, true);
  const sizeOf = (units: number) => {
    const range = space.allocate(units)!;
    const { size } = range;
    space.free(range);
    return size;
  };
  expect([7, 8, 15, 17, 33, 196, 586, 1368].map(sizeOf)).toEqual([7, 8, 15, 18, 36, 208, 640, 1408]);
});

test('without them a free range between two classes is not found by its own size', () => {
  const space = new AddressSpace(600, false);
  const [hole] = [space.allocate(196)!, space.allocate(196)!];
  space.allocate(204);
  space.free(hole);
  expect(space.allocate(196)).toBeNull();
  expect(space.allocate(192)?.offset).toBe(0);
});

test('a space of nothing has no room', () => {
  expect(new AddressSpace(0, true).allocate(1)).toBeNull();
});

test('ranges never overlap, and all of the space is one piece again when all are free', () => {
  const step = fc.record({ units: fc.integer({ min: 1, max: 300 }), freed: fc.nat() });
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 200 }), (isSizeClassed, steps) => {
      const space = new AddressSpace(SIZE, isSizeClassed);
      const used: UsedRange[] = [];
      for (const { units, freed } of steps) {
        const range = space.allocate(units);
        if (range !== null) used.push(range);
        if ((range === null || freed % 3 === 0) && used.length > 0) space.free(used.splice(freed % used.length, 1)[0]!);
        const inOrder = used.toSorted((a, b) => a.offset - b.offset);
        for (const [i, { offset, size }] of inOrder.entries()) {
          expect(offset + size).toBeLessThanOrEqual(inOrder[i + 1]?.offset ?? SIZE);
        }
        expect(space.usedUnits).toBe(used.reduce((sum, { size }) => sum + size, 0));
      }
      for (const range of used) space.free(range);
      expect(space.allocate(SIZE)).toMatchObject({ offset: 0, size: SIZE });
    }),
  );
});
