import { defineConfig } from 'vitest/config';
import { publishedVersions } from './test/real/published-wheels.ts';
import { filesOnServers } from './test/real/selection.ts';
import { closingLine, sharedOptions } from './vitest.shared.ts';

/** The tests on published servers, which `npm run real:install` fetches: one project for each version. */
export default defineConfig({
  test: {
    maxWorkers: sharedOptions.maxWorkers,
    reporters: ['default', closingLine],
    projects: [
      { test: { ...sharedOptions, name: 'published servers', include: ['test/real/**/*.test.ts'] } },
      ...publishedVersions.map((version) => ({
        test: {
          ...sharedOptions,
          name: `pegaflow-server ${version}`,
          include: [...filesOnServers],
          runner: './test/real/versioned-runner.ts',
          env: { ...sharedOptions.env, PEGAFLOW_SERVER_UNDER_TEST: version },
        },
      })),
    ],
  },
});
