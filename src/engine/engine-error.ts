import { Code } from '@connectrpc/connect';

/** A refusal as the wire carries it: a gRPC code and the server's words. */
export class EngineError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.name = 'EngineError';
    this.code = code;
  }
}

/** A bad argument seen by the RPC layer itself, which adds no prefix. */
export const badRequest = (message: string) => new EngineError(Code.InvalidArgument, message);

/** A bad argument seen behind the RPC layer. */
export const invalidArgument = (message: string) => badRequest(`invalid argument: ${message}`);

export const instanceNotFound = (instanceId: string) =>
  new EngineError(Code.FailedPrecondition, `instance ${instanceId} not found`);

export const deviceNotFound = (instanceId: string, deviceId: number) =>
  new EngineError(Code.FailedPrecondition, `device ${deviceId} not found in instance ${instanceId}`);

export const topologyMismatch = (message: string) =>
  new EngineError(Code.FailedPrecondition, `topology mismatch: ${message}`);

export const registerTensorFailed = (message: string) =>
  new EngineError(Code.Internal, `register tensor failed: ${message}`);

export const cudaInitFailed = (message: string) =>
  new EngineError(Code.Internal, `failed to initialize CUDA: ${message}`);

export const storageError = (message: string) => new EngineError(Code.Internal, `storage error: ${message}`);

/** The words of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
