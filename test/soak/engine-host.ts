/**
 * The engine of a soak, with the faulty network in front of it in the same process: so that the process at the other end
 * of a client's connection is the server's, as without a network in between.
 */

import { parentChannel } from '../../src/demo/hosts/ipc.ts';
import { startEngine } from '../../src/engine/index.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { FaultyNetwork, type NetworkCondition } from './network.ts';

export interface EngineHostOptions {
  readonly port: number;
  readonly poolSizeBytes: number;
}

export type ToEngineHost =
  | { readonly type: 'start'; readonly options: EngineHostOptions }
  | { readonly type: 'network'; readonly condition: NetworkCondition }
  | { readonly type: 'cut'; readonly how: 'close' | 'reset'; readonly share: number };

export interface FromEngineHost {
  readonly type: 'listening';
  readonly pid: number;
  readonly atMs: number;
  /** `http://host:port` of the admin interface. */
  readonly admin: string;
}

const channel = parentChannel<ToEngineHost, FromEngineHost>();

async function serve({ port, poolSizeBytes }: EngineHostOptions): Promise<FaultyNetwork> {
  const engine = await startEngine({
    addr: '127.0.0.1:0',
    httpAddr: '127.0.0.1:0',
    poolSizeBytes,
    isFaultControlEnabled: true,
  });
  const network = await FaultyNetwork.start(port, Number(engine.grpcAddress.split(':')[1]));
  process.once('SIGINT', () => {
    network.refuse();
    void engine.drain();
  });
  void engine.stopped.then(() => process.exit());
  channel.send({ type: 'listening', pid: process.pid, atMs: wallTimeMs(), admin: `http://${engine.httpAddress}` });
  return network;
}

let network: Promise<FaultyNetwork> | null = null;

channel.onMessage((message) => {
  if (message.type === 'start') network = serve(message.options);
  else if (message.type === 'network') void network?.then((running) => running.set(message.condition));
  else void network?.then((running) => running.cut(message.how, message.share, Math.random));
});

channel.onClosed(() => process.exit());
