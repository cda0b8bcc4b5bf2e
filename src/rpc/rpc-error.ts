import { Code, ConnectError } from '@connectrpc/connect';
import { FaultError } from '../../machines/index.ts';
import { faultFromRpc } from './fault-from-rpc.ts';
import { type Link, NotSentError } from './link.ts';

/** A call that failed, with its fault. */
export class RpcError extends FaultError {
  /**
   * Nothing of the call is under way at the server: it said no itself, or the request never left this process. Anything
   * else (a reset stream, a broken connection, garbage) says nothing about what the server still does.
   */
  readonly isFinal: boolean;

  constructor(error: unknown, link: Pick<Link, 'end' | 'isDraining'>) {
    super(faultFromRpc(error, link), { cause: error });
    this.name = 'RpcError';
    this.isFinal = isAnswer(error) || isUnsent(error);
  }
}

/** A server that answers sends `grpc-status`; a status that the client made up has no metadata. */
function isAnswer(error: unknown): boolean {
  return error instanceof ConnectError && error.metadata.has('grpc-status');
}

/** The client's own limit on a message's size is checked before anything is sent. */
function isUnsent(error: unknown): boolean {
  if (error instanceof FaultError) return true;
  return (
    error instanceof ConnectError && (error.cause instanceof NotSentError || error.code === Code.ResourceExhausted)
  );
}
