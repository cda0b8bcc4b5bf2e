import { connectEngineProcess, connectOwnEngine } from './conformance/targets.ts';
import { describeConformance } from './conformance.ts';

describeConformance('the embedded engine in this process', connectOwnEngine);
describeConformance('the embedded engine in a process of its own', connectEngineProcess);

const { PEGAFLOW_ENDPOINT: endpoint, PEGAFLOW_HTTP_ENDPOINT: httpEndpoint, PEGAFLOW_VERSION: version } = process.env;
if (endpoint !== undefined) {
  describeConformance(endpoint, async () => ({
    endpoint,
    httpEndpoint: httpEndpoint ?? null,
    version: version ?? '',
    driver: null,
    control: null,
    [Symbol.asyncDispose]: async () => {},
  }));
}
