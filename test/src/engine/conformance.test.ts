import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { type ChildEngineOptions, EngineProcess } from '../../support/engine-process.ts';
import { type ConformanceTarget, describeConformance } from './conformance.ts';

const targetFrom = (engine: EngineProcess): ConformanceTarget => ({
  endpoint: `http://${engine.grpcAddress}`,
  httpEndpoint: `http://${engine.httpAddress}`,
  driver: createEmulatedDriver(),
  control: {
    fault: (patch) => engine.fault(patch),
    signal: (signal) => engine.signal(signal),
    logged: (words) => engine.logged(words),
    exited: engine.exited,
    get isRunning() {
      return engine.isRunning;
    },
    restart: () => start({ addr: engine.grpcAddress }),
  },
  [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
});

const start = async (options: ChildEngineOptions = {}) => targetFrom(await EngineProcess.start(options));

describeConformance('the embedded engine', () => start());

const { PEGAFLOW_ENDPOINT: endpoint, PEGAFLOW_HTTP_ENDPOINT: httpEndpoint } = process.env;
if (endpoint !== undefined) {
  describeConformance(endpoint, async () => ({
    endpoint,
    httpEndpoint: httpEndpoint ?? null,
    driver: null,
    control: null,
    [Symbol.asyncDispose]: async () => {},
  }));
}
