import { Code, ConnectError } from '@connectrpc/connect';
import type { SaveRequest } from '../../src/gen/pegaflow/engine_pb.ts';
import type { Connection } from './connection.ts';
import { kernel } from './kernel.ts';

/** What the client of a call hears. */
export interface Reply {
  /** Only of a stream: the response headers. */
  readonly header?: () => void;
  readonly message: (message: unknown) => void;
  readonly error: (error: ConnectError) => void;
}

/** The server's side of one call. */
export interface ServedCall {
  readonly connection: Connection;
  readonly method: string;
  readonly request: unknown;
  readonly signal: AbortSignal;
  /** The caller is gone. */
  abort(): void;
  header(): void;
  answer(message: unknown): void;
  refuse(error: ConnectError): void;
}

/** Sees every call at its client: when it is sent, when its headers arrive, when it ends. */
export interface CallWitness {
  readonly sent: (call: RemoteCall) => void;
  readonly headed: (call: RemoteCall) => void;
  readonly heard: (call: RemoteCall, outcome: unknown) => void;
}

export const witnesses: CallWitness[] = [];

/** What takes the calls that arrive on a connection. */
export const services = new WeakMap<Connection, (call: ServedCall) => void>();

/** One RPC between a client and a server of the simulation. */
export class RemoteCall {
  readonly connection: Connection;
  readonly method: string;
  readonly request: unknown;
  /** What was true when it was sent, kept for the checks of its answer. */
  note: unknown = null;
  /** For room on its connection: it was wanted when all was well, and nobody asks again when it leaves. */
  readonly hasWaited: boolean;
  #reply: Reply;
  #onOver: () => void;
  #isOver = false;
  #controller = new AbortController();

  constructor(
    connection: Connection,
    method: string,
    request: unknown,
    reply: Reply,
    { hasWaited, onOver }: { readonly hasWaited: boolean; readonly onOver: () => void },
  ) {
    this.connection = connection;
    this.method = method;
    this.request = request;
    this.#reply = reply;
    this.hasWaited = hasWaited;
    this.#onOver = onOver;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(): void {
    for (const { sent } of witnesses) sent(this);
    kernel().journal.write(this.connection.client.name, this.method);
    this.connection.send('server', () => {
      if (this.#controller.signal.aborted) return;
      services.get(this.connection)?.(this.#served());
    });
  }

  /** The client wants no answer any more; the server hears of it. */
  cancel(error: ConnectError): void {
    if (this.#isOver) return;
    this.connection.send('server', () => this.#controller.abort(new ConnectError('the caller is gone', Code.Canceled)));
    this.fail(error);
  }

  fail(error: ConnectError): void {
    this.#end(error, () => this.#reply.error(error));
  }

  #served(): ServedCall {
    const { connection, method, request } = this;
    const toClient = (deliver: () => void) => connection.send('client', () => !this.#isOver && deliver());
    const finish = (outcome: unknown, tell: () => void) => {
      toClient(() => this.#end(outcome, tell));
    };
    return {
      connection,
      method,
      request,
      signal: this.#controller.signal,
      abort: () => this.#controller.abort(new ConnectError('the caller is gone', Code.Canceled)),
      header: () => toClient(() => this.#headed()),
      answer: (message) => finish(message, () => this.#reply.message(message)),
      refuse: (error) => finish(error, () => this.#reply.error(error)),
    };
  }

  #headed(): void {
    for (const { headed } of witnesses) headed(this);
    this.#reply.header?.();
  }

  #end(outcome: unknown, tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { heard } of witnesses) heard(this, outcome);
    kernel().journal.write(this.connection.client.name, `${this.method} → ${describe(outcome)}`);
    this.#onOver();
    tell();
  }
}

function describe(outcome: unknown): string {
  return outcome instanceof Error ? outcome.message.slice(0, 90) : 'ok';
}

/** A Save by which a rank asks whether it is registered. */
export const isSaveOfNothing = ({ saves }: SaveRequest): boolean =>
  saves.every(({ blockIds }) => blockIds.length === 0);
