import { describeDrain } from '../src/engine/describe-drain.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

for (const version of publishedVersions) {
  describeDrain(`pegaflow-server ${version}`, version, () => RealServer.start({ version }));
}
