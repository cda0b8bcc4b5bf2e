/** In the place of `src/rpc/grpc-transport.ts`: a transport whose messages cross the simulated network as objects. */
import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from '@connectrpc/connect';
import type * as real from '../../../src/rpc/grpc-transport.ts';
import type { RemoteCall } from '../remote-call.ts';
import { type Link, NotSentError } from './link.ts';

const noHeaders = new Headers();

export function createGrpcTransport(options: real.GrpcTransportOptions): Transport {
  // `connection.ts` gives what it believes to be its own Link.
  const link = options.link as unknown as Link;
  return {
    unary: <I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      _header: unknown,
      input: MessageInitShape<I>,
    ) =>
      new Promise<UnaryResponse<I, O>>((resolve, reject) => {
        let timer: NodeJS.Timeout | undefined;
        const onAbort = () => call.cancel(new ConnectError('This operation was aborted', Code.Canceled));
        const end = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
        };
        const call = sent(link, method, create(method.input, input), {
          message: (message) => {
            end();
            const parts = {
              stream: false,
              service: method.parent,
              method,
              header: noHeaders,
              trailer: noHeaders,
            } as const;
            resolve({ ...parts, message: message as MessageShape<O> });
          },
          error: (error) => {
            end();
            reject(error);
          },
        });
        if (timeoutMs !== undefined) {
          const expired = () => call.cancel(new ConnectError('the operation timed out', Code.DeadlineExceeded));
          timer = setTimeout(expired, timeoutMs);
        }
        signal?.addEventListener('abort', onAbort, { once: true });
      }),

    stream: async <I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      _signal: AbortSignal | undefined,
      _timeoutMs: number | undefined,
      _header: unknown,
      input: AsyncIterable<MessageInitShape<I>>,
    ): Promise<StreamResponse<I, O>> => {
      let request: MessageInitShape<I> | undefined;
      for await (const message of input) request = message;
      const header = Promise.withResolvers<void>();
      const end = Promise.withResolvers<void>();
      end.promise.catch(() => {});
      sent(link, method, create(method.input, request), {
        header: header.resolve,
        message: () => end.resolve(),
        error: (error) => {
          header.reject(error);
          end.reject(error);
        },
      });
      await header.promise;
      const next = () => end.promise.then(() => ({ done: true, value: undefined }) as const);
      const message = { [Symbol.asyncIterator]: () => ({ next }) };
      return { stream: true, service: method.parent, method, header: noHeaders, trailer: noHeaders, message };
    },
  };
}

function sent(
  link: Link,
  method: { readonly localName: string },
  request: unknown,
  reply: Parameters<Link['call']>[2],
): RemoteCall {
  try {
    return link.call(method.localName, request, reply);
  } catch (error) {
    if (!(error instanceof NotSentError)) throw error;
    throw new ConnectError(error.message, Code.Internal, undefined, undefined, error);
  }
}

createGrpcTransport satisfies typeof real.createGrpcTransport;
