import { describe, test } from 'vitest';
import { noCompiler } from './cuda-double/build.ts';

/** A suite that needs the stand-in for libcudart, or one skipped test that says why there is none. */
export function describeOnDouble(name: string, suite: () => void): void {
  if (noCompiler === null) describe(name, { timeout: 30_000 }, suite);
  else test(name, ({ skip }) => skip(noCompiler ?? ''));
}
