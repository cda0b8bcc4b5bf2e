/**
 * The engine of a soak, with the faulty network in front of it in the same process: so that the process at the other end
 * of a client's connection is the server's, as without a network in between. Behind a proxy it has none.
 */

import { parentChannel } from '../../src/demo/hosts/ipc.ts';
import { startEngine } from '../../src/engine/index.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { FaultyNetwork, type ToNetwork } from './network.ts';

export interface EngineHostOptions {
  /** Where the network in front of it listens; `null`: it has none. */
  readonly port: number | null;
  readonly poolSizeBytes: number;
}

export type ToEngineHost = ToNetwork | { readonly type: 'start'; readonly options: EngineHostOptions };

export interface FromEngineHost {
  readonly type: 'listening';
  readonly pid: number;
  readonly atMs: number;
  /** `http://host:port` of the admin interface. */
  readonly admin: string;
  /** Of the engine itself. */
  readonly enginePort: number;
}

const channel = parentChannel<ToEngineHost, FromEngineHost>();

async function serve({ port, poolSizeBytes }: EngineHostOptions): Promise<FaultyNetwork | null> {
  const engine = await startEngine({
    addr: '127.0.0.1:0',
    httpAddr: '127.0.0.1:0',
    poolSizeBytes,
    hasCopyThreads: true,
    isFaultControlEnabled: true,
  });
  const enginePort = Number(engine.grpcAddress.split(':')[1]);
  const network = port === null ? null : await FaultyNetwork.start(port, enginePort);
  process.once('SIGINT', () => {
    network?.refuse();
    void engine.drain();
  });
  void engine.stopped.then(() => process.exit());
  const admin = `http://${engine.httpAddress}`;
  channel.send({ type: 'listening', pid: process.pid, atMs: wallTimeMs(), admin, enginePort });
  return network;
}

let network: Promise<FaultyNetwork | null> | null = null;

channel.onMessage((message) => {
  if (message.type === 'start') network = serve(message.options);
  else void network?.then((running) => running?.obey(message));
});

channel.onClosed(() => process.exit());
