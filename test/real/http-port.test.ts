import { describeHttpPort } from '../src/engine/http/describe-http-port.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

for (const version of publishedVersions) {
  describeHttpPort(`pegaflow-server ${version}`, version, () => RealServer.start({ version }));
}
