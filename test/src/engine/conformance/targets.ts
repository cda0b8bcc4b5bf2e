/** The servers that the conformance items are asked of. */
import { createEmulatedDriver } from '../../../../native-bindings/emulated-device.ts';
import { startEngine } from '../../../../src/engine/index.ts';
import { PEGAFLOW_VERSION } from '../../../../src/pegaflow-version.ts';
import type { PublishedVersion } from '../../../real/published-wheels.ts';
import { EngineProcess } from '../../../support/engine-process.ts';
import { LogRecorder } from '../../../support/log-recorder.ts';
import { LOOPBACK_HOST } from '../../../support/loopback.ts';
import { createOwnMemoryDriver } from '../../../support/own-memory-driver.ts';
import { RealServer } from '../../../support/real-server.ts';
import type { ServerProcess } from '../../../support/server-process.ts';
import { eventually } from '../../../support/within.ts';
import type { ConformanceTarget, Connect } from './suite.ts';

const ANY_PORT = `${LOOPBACK_HOST}:0`;

export const connectEngineProcess: Connect = async () => engineProcessAt(ANY_PORT);

async function engineProcessAt(addr: string): Promise<ConformanceTarget> {
  return targetFrom(await EngineProcess.start({ addr }), PEGAFLOW_VERSION, engineProcessAt);
}

export const connectRealServer =
  (version: PublishedVersion): Connect =>
  async ({ hasRpcFaults = false } = {}) => {
    const startAt = async (addr: string): Promise<ConformanceTarget> =>
      targetFrom(await RealServer.start({ version, addr, hasRpcFaults }), version, startAt);
    return startAt(ANY_PORT);
  };

function targetFrom(
  server: ServerProcess,
  version: string,
  startAt: (addr: string) => Promise<ConformanceTarget>,
): ConformanceTarget {
  return {
    endpoint: `http://${server.grpcAddress}`,
    httpEndpoint: `http://${server.httpAddress}`,
    version,
    driver: createEmulatedDriver(),
    control: {
      fault: (patch) => server.fault(patch),
      taken: (method) => taken(method, () => server.http('GET', '/faults')),
      signal: (signal) => server.signal(signal),
      logged: (words) => server.logged(words),
      exited: server.exited,
      get isRunning() {
        return server.isRunning;
      },
      restart: () => startAt(server.grpcAddress),
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** An engine in the process of the test: a signal does to it what it does to a process. */
export const connectOwnEngine: Connect = async () => ownEngineAt(ANY_PORT);

/** One for all: an item may register memory at another engine than the one that was there when it was allocated. */
const ownMemoryDriver = createOwnMemoryDriver();

async function ownEngineAt(addr: string): Promise<ConformanceTarget> {
  const log = new LogRecorder();
  const engine = await startEngine({
    addr,
    httpAddr: ANY_PORT,
    driver: ownMemoryDriver,
    log,
    isFaultControlEnabled: true,
  });
  let isRunning = true;
  const exited = engine.stopped.then(() => {
    isRunning = false;
    return 0;
  });
  return {
    endpoint: `http://${engine.grpcAddress}`,
    httpEndpoint: `http://${engine.httpAddress}`,
    version: PEGAFLOW_VERSION,
    driver: ownMemoryDriver,
    control: {
      fault: async (patch) => {
        // By HTTP: what a client has sent before arrives before.
        const response = await fetch(`http://${engine.httpAddress}/faults`, {
          method: 'POST',
          body: JSON.stringify(patch),
        });
        if (!response.ok) throw new Error(await response.text());
      },
      taken: (method) =>
        taken(method, async () => ({ text: await (await fetch(`http://${engine.httpAddress}/faults`)).text() })),
      signal: (signal) => void (signal === 'SIGINT' ? engine.drain() : engine.close()),
      logged: async (words) => {
        const isLogged = () => log.lines.some(({ message }) => message.includes(words));
        await eventually(`the log line "${words}"`, () => (isLogged() ? true : null));
      },
      exited,
      get isRunning() {
        return isRunning;
      },
      restart: () => ownEngineAt(engine.grpcAddress),
    },
    [Symbol.asyncDispose]: () => engine.close(),
  };
}

async function taken(method: string, faults: () => Promise<{ readonly text: string }>): Promise<void> {
  await eventually(`a call of ${method}`, async () =>
    JSON.parse((await faults()).text).methods[method]?.times === 0 ? true : null,
  );
}
