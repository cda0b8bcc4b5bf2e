import { Code, ConnectError } from '@connectrpc/connect';
import { FaultError } from '../../machines/index.ts';
import { faultFromRpc, isServersWord, isUnprocessed } from './fault-from-rpc.ts';
import type { Link } from './link.ts';

/** A call that failed, with its fault. */
export class RpcError extends FaultError {
  /**
   * Nothing of the call is under way at the server: it said no itself, or the request never left this process. Anything
   * else (a reset stream, a broken connection, garbage, a word that a proxy may have said) says nothing about what the
   * server still does.
   */
  readonly isFinal: boolean;

  constructor(error: unknown, link: Pick<Link, 'end' | 'isDraining'>) {
    super(faultFromRpc(error, link), { cause: error });
    this.name = 'RpcError';
    this.isFinal = error instanceof FaultError || isServersWord(error) || isUnprocessed(error) || isTooLarge(error);
  }
}

/** The client's own limit on a message's size is checked before anything is sent. */
function isTooLarge(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.ResourceExhausted && /larger than/.test(error.rawMessage);
}
