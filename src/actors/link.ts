import { type EventObject, fromCallback } from 'xstate';
import type { Fault, LinkEndCause } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

type LinkFact =
  | { readonly type: 'link.opened' }
  | { readonly type: 'drain.announced' }
  | { readonly type: 'link.ended'; readonly cause: LinkEndCause; readonly fault: Fault };

/**
 * Owns one link: dials when it starts, tells what happens, drops it when it is stopped. It dials one turn of the event
 * loop later: where many links of this process break at once, all hear of it before the first is dialled again.
 */
export const createLink = <Event extends EventObject>(ownerOf: OwnerOf<{ readonly connection: Connection }>) =>
  fromCallback<Event>(({ sendBack, system }) => {
    const { connection } = ownerOf(system);
    let isStopped = false;
    let drop = () => {};
    // What we do to the link ourselves is not emitted: it would reach the state that follows.
    const tell = (fact: LinkFact) => {
      if (!isStopped) (sendBack as (fact: LinkFact) => void)(fact);
    };
    const dial = setImmediate(() => {
      drop = connection.open({
        up: () => tell({ type: 'link.opened' }),
        draining: () => tell({ type: 'drain.announced' }),
        down: ({ cause, fault }) => tell({ type: 'link.ended', cause, fault }),
      });
    });
    return () => {
      isStopped = true;
      clearImmediate(dial);
      drop();
    };
  });
