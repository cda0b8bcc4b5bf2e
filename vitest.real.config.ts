import { defineConfig } from 'vitest/config';
import { publishedVersions } from './test/real/published-wheels.ts';
import { closingLine, sharedOptions } from './vitest.shared.ts';

/** What runs on every server that has what it needs. */
const testsOnServers = [
  'test/invariants.test.ts',
  'test/src/connector/*.test.ts',
  'test/src/feed/watch.test.ts',
  'test/src/rpc/death-watch.test.ts',
  'test/src/telemetry/{broken-backend,story,transfers}.test.ts',
  'test/stories/*.test.ts',
];

/** Their servers are of several versions; `test/real` asks the same of the published ones. */
const testsOfVersions = ['test/src/connector/server-versions.test.ts'];

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
          include: testsOnServers,
          exclude: testsOfVersions,
          env: { ...sharedOptions.env, PEGAFLOW_SERVER_UNDER_TEST: version },
        },
      })),
    ],
  },
});
