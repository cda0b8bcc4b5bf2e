import { Code, ConnectError } from '@connectrpc/connect';
import { EngineError, messageOf } from '../engine-error.ts';

/** tonic's words for each code, which the real server uses as a metric label. */
const descriptions: Readonly<Record<Code, string>> = {
  [Code.Canceled]: 'The operation was cancelled',
  [Code.Unknown]: 'Unknown error',
  [Code.InvalidArgument]: 'Client specified an invalid argument',
  [Code.DeadlineExceeded]: 'Deadline expired before operation could complete',
  [Code.NotFound]: 'Some requested entity was not found',
  [Code.AlreadyExists]: 'Some entity that we attempted to create already exists',
  [Code.PermissionDenied]: 'The caller does not have permission to execute the specified operation',
  [Code.ResourceExhausted]: 'Some resource has been exhausted',
  [Code.FailedPrecondition]: "The system is not in a state required for the operation's execution",
  [Code.Aborted]: 'The operation was aborted',
  [Code.OutOfRange]: 'Operation was attempted past the valid range',
  [Code.Unimplemented]: 'Operation is not implemented or not supported',
  [Code.Internal]: 'Internal error',
  [Code.Unavailable]: 'The service is currently unavailable',
  [Code.DataLoss]: 'Unrecoverable data loss or corruption',
  [Code.Unauthenticated]: 'The request does not have valid authentication credentials',
};

export const statusLabel = (error: ConnectError): string => descriptions[error.code];

/** What a thrown error becomes on the wire; one that nobody foresaw is INTERNAL with its words. */
export const rpcErrorFrom = (error: unknown): ConnectError => {
  if (error instanceof ConnectError) return error;
  if (error instanceof EngineError) return new ConnectError(error.message, error.code);
  return new ConnectError(messageOf(error), Code.Internal);
};

/** What an error adds to the headers of an answer that has nothing else. */
export const statusHeaders = ({ code, rawMessage, metadata }: ConnectError): Record<string, string> => ({
  ...Object.fromEntries(metadata),
  'grpc-status': String(code),
  ...(rawMessage !== '' && { 'grpc-message': percentEncoded(rawMessage) }),
});

/** As the server escapes: controls, what is not ASCII, and what a URL's query or path does not take as it is. */
const percentEncoded = (message: string): string =>
  message.replaceAll(/[^!$&-;=@-_a-z|~]+/g, (run) =>
    [...Buffer.from(run)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
