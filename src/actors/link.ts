import { type EventObject, fromCallback } from 'xstate';
import type { Fault } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';

type LinkFact =
  | { readonly type: 'link.up' }
  | { readonly type: 'server.draining' }
  | { readonly type: 'link.down'; readonly fault: Fault };

/** Owns one link: dials when it starts, tells what happens, drops it when it is stopped. */
export const createLink = <Event extends EventObject>(connection: Connection) =>
  fromCallback<Event>(({ sendBack }) => {
    const tell: (fact: LinkFact) => void = sendBack;
    return connection.open({
      up: () => tell({ type: 'link.up' }),
      draining: () => tell({ type: 'server.draining' }),
      down: ({ fault }) => tell({ type: 'link.down', fault }),
    });
  });
