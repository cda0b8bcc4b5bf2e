import { describeWire } from '../src/engine/describe-wire.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

for (const version of publishedVersions) {
  describeWire(`pegaflow-server ${version}`, () => RealServer.start({ version }));
}
