import { configDefaults, defineConfig } from 'vitest/config';
import { closingLine, sharedOptions } from './vitest.shared.ts';

/** What needs no published server; `vitest.real.config.ts` has the rest. */
export default defineConfig({
  test: {
    ...sharedOptions,
    reporters: ['default', closingLine],
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/real/**'],
  },
});
