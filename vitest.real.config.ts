import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { publishedVersions } from './test/real/published-wheels.ts';
import { closingLine, sharedOptions } from './vitest.shared.ts';

/** They start servers that are not the one a run is about: engines of several versions, and connect-node's. */
const testsOfOtherServers = ['test/src/connector/server-versions.test.ts', 'test/src/rpc/connect-node-server.test.ts'];

/** What starts the server that a run is about, and so runs on every server that has what it needs. */
const testsOnServers = globSync([
  'test/invariants.test.ts',
  'test/src/{connector,feed,rpc,telemetry}/*.test.ts',
  'test/stories/*.test.ts',
])
  .filter((file) => !testsOfOtherServers.includes(file))
  .filter((file) => /support\/(story|server-under-test|namespaced-story)\.ts'/.test(readFileSync(file, 'utf8')));

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
          runner: './test/real/versioned-runner.ts',
          env: { ...sharedOptions.env, PEGAFLOW_SERVER_UNDER_TEST: version },
        },
      })),
    ],
  },
});
