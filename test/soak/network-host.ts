/** The faulty network of a soak in a process of its own: a proxy, whose end says nothing of the server. */
import { parentChannel } from '../../src/demo/hosts/ipc.ts';
import { FaultyNetwork, type ToNetwork } from './network.ts';

export type ToNetworkHost = ToNetwork | { readonly type: 'start'; readonly port: number; readonly targetPort: number };

export interface FromNetworkHost {
  readonly type: 'listening';
}

const channel = parentChannel<ToNetworkHost, FromNetworkHost>();

let network: Promise<FaultyNetwork> | null = null;

channel.onMessage((message) => {
  if (message.type === 'start') {
    network = FaultyNetwork.start(message.port, message.targetPort);
    void network.then(() => channel.send({ type: 'listening' }));
  } else void network?.then((running) => running.obey(message));
});

channel.onClosed(() => process.exit());
