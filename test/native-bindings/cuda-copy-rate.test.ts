import { expect, test } from 'vitest';
import { cudaDouble, noCompiler } from './cuda-double/build.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { copyTimesOf, copyTimesOfC } from './gpu/copy-rate.ts';

test('the copies of the bindings and those of a C program are timed by the same clock', ({ skip }) => {
  if (noCompiler !== null) skip(noCompiler);
  const sizeBytes = 2 * 1024 * 1024;
  const times = [copyTimesOfC(cudaDouble(), sizeBytes, 5), copyTimesOf(createDoubleDriver(), sizeBytes, 5)];
  for (const { toDeviceNs, toHostNs } of times) {
    expect(toDeviceNs).toBeGreaterThan(1000);
    expect(toHostNs).toBeGreaterThan(1000);
  }
});
