import { connectRealServer } from '../src/engine/conformance/targets.ts';
import { describeConformance } from '../src/engine/conformance.ts';
import { publishedVersions } from './published-wheels.ts';

for (const version of publishedVersions) {
  describeConformance(`pegaflow-server ${version}`, connectRealServer(version));
}
