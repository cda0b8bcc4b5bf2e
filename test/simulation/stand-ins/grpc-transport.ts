/** In the place of `src/rpc/grpc-transport.ts`: a transport whose messages cross the simulated network as objects. */
import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from '@connectrpc/connect';
import type * as real from '../../../src/rpc/grpc-transport.ts';
import { isVital } from '../../../src/rpc/vital-calls.ts';
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
        const onAbort = () => giveUp(new ConnectError('This operation was aborted', Code.Canceled));
        const waiting = new AbortController();
        const giveUp = (error: ConnectError) => {
          if (call === null) waiting.abort(error);
          else call.cancel(error);
        };
        const end = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
        };
        let call: RemoteCall | null = null;
        const reply = {
          message: (answer: unknown) => {
            end();
            const parts = {
              stream: false,
              service: method.parent,
              method,
              header: noHeaders,
              trailer: noHeaders,
            } as const;
            resolve({ ...parts, message: answer as MessageShape<O> });
          },
          error: (error: ConnectError) => {
            end();
            reject(error);
          },
        };
        const send = (hasWaited: boolean) => {
          call = sent(link, method, message, reply, hasWaited);
        };
        const message = create(method.input, input);
        const room = entered(link, method, message, waiting.signal);
        if (room === null) send(false);
        else room.then(() => send(true)).catch(reply.error);
        if (timeoutMs !== undefined) {
          const expired = () => giveUp(new ConnectError('the operation timed out', Code.DeadlineExceeded));
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
      const given = create(method.input, request);
      await entered(link, method, given, undefined);
      const reply = {
        header: header.resolve,
        message: () => end.resolve(),
        error: (error: ConnectError) => {
          header.reject(error);
          end.reject(error);
        },
      };
      sent(link, method, given, reply, false);
      await header.promise;
      const next = () => end.promise.then(() => ({ done: true, value: undefined }) as const);
      const message = { [Symbol.asyncIterator]: () => ({ next }) };
      return { stream: true, service: method.parent, method, header: noHeaders, trailer: noHeaders, message };
    },
  };
}

/** `null`: there is room for one more call. Otherwise settles when there is. */
function entered(
  link: Link,
  method: DescMethodUnary | DescMethodStreaming,
  message: unknown,
  signal: AbortSignal | undefined,
): Promise<void> | null {
  const withdrawn = () => new NotSentError('the call was given up before there was room for it');
  const room = link.streams.enter(isVitalCall(method, message), signal, withdrawn);
  return room?.catch((error) => Promise.reject(notSent(error))) ?? null;
}

function sent(
  link: Link,
  method: DescMethodUnary | DescMethodStreaming,
  message: unknown,
  reply: Parameters<Link['call']>[2],
  hasWaited: boolean,
): RemoteCall {
  const onOver = () => link.streams.leave(isVitalCall(method, message));
  try {
    return link.call(method.localName, message, reply, { hasWaited, onOver });
  } catch (error) {
    onOver();
    throw notSent(error);
  }
}

function isVitalCall(method: DescMethodUnary | DescMethodStreaming, message: unknown): boolean {
  return isVital({ method, message } as UnaryRequest);
}

function notSent(error: unknown): unknown {
  if (!(error instanceof NotSentError)) return error;
  return new ConnectError(error.message, Code.Internal, undefined, undefined, error);
}

createGrpcTransport satisfies typeof real.createGrpcTransport;
