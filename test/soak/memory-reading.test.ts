import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { readMemory } from './memory-reading.ts';

const MIB = 1 << 20;
const CHURN_MS = 1500;
const MAX_SURVIVORS = 200_000;

const libc = koffi.load('libc.so.6');
const malloc = libc.func('malloc', 'void *', ['size_t']);
const free = libc.func('free', 'void', ['void *']);

const grownMiB = (since: number) => Math.round((readMemory().nativeBytes - since) / MIB);

describe('the native memory of a reading', () => {
  it.each([
    ['small pieces', 4096, 4096],
    ['one piece', 1, 16 * MIB],
  ])('is what was allocated in %s, until it is freed', (_, count, size) => {
    const { nativeBytes } = readMemory();
    const pieces = Array.from({ length: count }, () => malloc(size));
    expect(grownMiB(nativeBytes)).toBeGreaterThan(12);
    for (const piece of pieces) free(piece);
    expect(grownMiB(nativeBytes)).toBeLessThan(4);
  });

  it('is not the pages that V8 keeps of what was collected', () => {
    const { nativeBytes } = readMemory();
    const untilMs = performance.now() + CHURN_MS;
    for (let objects: unknown[] = []; performance.now() < untilMs; ) {
      objects.push({ numbers: [objects.length, untilMs], text: `object ${objects.length}` });
      if (objects.length === MAX_SURVIVORS) objects = [];
    }
    expect(grownMiB(nativeBytes)).toBeLessThan(16);
  });
});
