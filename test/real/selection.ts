/** Which tests are asked of the published servers, and why those not that start another server. */
import { globSync, readFileSync } from 'node:fs';

const FILES = [
  'test/invariants.test.ts',
  'test/examples/*.test.ts',
  'test/src/{connector,feed,rpc,telemetry}/**/*.test.ts',
  'test/stories/*.test.ts',
];

const STARTS_THE_SERVER =
  /(?:support\/(?:story|server-under-test|namespaced-story)|\.\/demo-process)\.ts'|from '(?:\.\.\/)+src\/engine\/index\.ts'/;

/** They start a server, and none that a run could be about. */
export const filesOfOtherServers: Readonly<Record<string, string>> = {
  'test/src/connector/kept-links.test.ts':
    'its saves end by time alone; each registration of a published server has copy threads, whose end is proof',
  'test/src/connector/server-versions.test.ts':
    'the server changes its version; test/real/server-versions.test.ts asks the same of published ones',
  'test/src/rpc/connect-node-server.test.ts': 'about the other server that connectors are tested with, of connect-node',
  'test/stories/cuda-demo.test.ts':
    'the memory is that of a stand-in for libcudart, which the stand-ins below a published server cannot map',
  'test/stories/server-demo-refusals.test.ts': 'about commands that are no servers',
  'test/stories/telemetry-demo.test.ts': 'about what the engine tells a collector too, in the same traces',
};

/** What starts the server that a run is about, and so runs on every server that has what it needs. */
export const filesOnServers: readonly string[] = globSync(FILES)
  .filter((file) => filesOfOtherServers[file] === undefined)
  .filter((file) => STARTS_THE_SERVER.test(readFileSync(file, 'utf8')));
