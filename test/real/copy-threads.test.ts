import { describeCopyThreads } from '../src/engine/transfers/copy-thread-contract.ts';
import { own } from '../support/own.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

for (const version of publishedVersions) {
  const start = async (faults = {}) => own(await RealServer.start({ version, faults }));
  describeCopyThreads(`pegaflow-server ${version}`, start, { clientVersion: version });
}
