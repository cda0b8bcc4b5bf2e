import { fromPromise } from 'xstate';
import { type Fault, FaultError } from '../../machines/index.ts';
import type { Connection, ServerLink } from '../rpc/connection.ts';
import { faultFromRpc } from '../rpc/fault-from-rpc.ts';

export interface SessionIdentity {
  readonly instanceId: string;
  readonly namespace: string;
  readonly tpSize: number;
  readonly worldSize: number;
}

/**
 * Opens the Session stream on the current link and ends when the response headers arrived: then the session is
 * installed at the server. The stream is read from there on as long as the link lives; `onEnded` tells of an end that
 * the link survived.
 */
export const createOpenSession = (connection: Connection, identity: SessionIdentity, onEnded: (fault: Fault) => void) =>
  fromPromise<void>(() => openSession(connection.server, identity, onEnded));

async function openSession(
  server: ServerLink,
  identity: SessionIdentity,
  onEnded: (fault: Fault) => void,
): Promise<void> {
  const headers = Promise.withResolvers<void>();
  let isOpen = false;
  const end = (error: unknown) => {
    const fault = faultFromRpc(error, server.link);
    headers.reject(new FaultError(fault, { cause: error }));
    if (isOpen && server.link.end === null) onEnded(fault);
  };
  // Some servers send headers and the refusal in one breath: an error of the same turn wins.
  const onHeader = () => setImmediate(headers.resolve);
  void readToTheEnd(server.client.session(identity, { onHeader })).then(
    () => end(new FaultError({ kind: 'unreachable', message: 'the server ended the session' })),
    end,
  );
  await headers.promise;
  isOpen = true;
}

async function readToTheEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
