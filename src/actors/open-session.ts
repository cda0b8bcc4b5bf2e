import { fromPromise } from 'xstate';
import { type Fault, FaultError } from '../../machines/index.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

interface SessionIdentity {
  readonly instanceId: string;
  readonly namespace: string;
  readonly tpSize: number;
  readonly worldSize: number;
}

export interface SessionOwner {
  readonly connection: Connection;
  readonly session: SessionIdentity;
  /** Called when the session ended and the link did not. */
  readonly onSessionEnded: (fault: Fault) => void;
}

/**
 * Opens the Session stream on the current link and ends when the response headers arrived: then the session is
 * installed at the server. The stream is read from there on as long as the link lives.
 */
export const createOpenSession = (ownerOf: OwnerOf<SessionOwner>) =>
  fromPromise<void>(({ system }) => {
    const { connection, session, onSessionEnded } = ownerOf(system);
    return openSession(connection, session, onSessionEnded);
  });

async function openSession(
  connection: Connection,
  identity: SessionIdentity,
  onEnded: (fault: Fault) => void,
): Promise<void> {
  const { server } = connection;
  const sinceMs = performance.now();
  const headers = Promise.withResolvers<void>();
  let isOpen = false;
  const end = (error: unknown) => {
    const refusal = server.refused(error);
    headers.reject(refusal);
    if (!isOpen || server.link.end !== null) return;
    onEnded(refusal.isFinal ? refusal.fault : cutFault(refusal.fault, connection, performance.now() - sinceMs));
  };
  // Some servers send headers and the refusal in one breath: an error of the same turn wins.
  const onHeader = () => setImmediate(headers.resolve);
  void readToTheEnd(server.client.session(identity, { onHeader })).then(
    () => end(new FaultError({ kind: 'unreachable', message: 'the server ended the session' })),
    end,
  );
  await headers.promise;
  isOpen = true;
  // Its end would drop the registration: until another session has taken its place, a silent link is kept.
  server.owe();
  connection.dropOld();
}

/** How long the session before lived that was cut, in milliseconds. */
const cutBefore = new WeakMap<Connection, number>();

/** A server ends a Session with a gRPC status. A stream that ends without one on a link that lives was cut on the way. */
function cutFault({ kind, message }: Fault, connection: Connection, ageMs: number): Fault {
  const before = cutBefore.get(connection);
  cutBefore.set(connection, ageMs);
  const earlier = before === undefined ? '' : `, the one before after ${seconds(before)}`;
  const ages = `the Session stream was cut after ${seconds(ageMs)}${earlier}, on a connection that lives`;
  return { kind, message: `${ages}: somebody between does that, such as a proxy with an idle time-out (${message})` };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

async function readToTheEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
