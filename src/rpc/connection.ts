import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { type Budgets, type Fault, FaultError } from '../../machines/index.ts';
import { Engine } from '../gen/pegaflow/engine_pb.ts';
import { publicEndpoint } from '../redacted.ts';
import { type DeathWaiter, DeathWatch } from './death-watch.ts';
import { createGrpcTransport } from './grpc-transport.ts';
import { Link, type LinkEnd } from './link.ts';
import { RpcError } from './rpc-error.ts';
import { listeningInodes } from './socket-owner.ts';

/** Largest message either way, in bytes; pegaflow-server's own limit. */
const MAX_MESSAGE_BYTES = 64 << 20;

export type EngineClient = Client<typeof Engine>;

export interface ConnectionEvents {
  readonly up: () => void;
  readonly draining: () => void;
  readonly down: (end: LinkEnd) => void;
}

export interface ConnectionOptions {
  /** `http://host:port`. */
  readonly endpoint: string;
  readonly budgets: Budgets;
  /** Sees every call that is made on a link. Default none. */
  readonly interceptor?: Interceptor;
  /** Told when a ping left so many milliseconds too late. */
  readonly onStall?: (stallMs: number) => void;
  /** Told of each refusal in words that are not known. */
  readonly onUnknownRefusal?: (fault: Fault) => void;
}

/**
 * What a connector knows of one server: at most one link, and of earlier links whatever still matters to transfers
 * that they left behind.
 */
export class Connection {
  #options: ConnectionOptions;
  #current: ServerLink | null = null;
  /** Of ended links: servers that are not known to be dead and on whose death somebody waits. */
  #mourned = new Set<DeathWatch>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#current?.link.isUp ?? false;
  }

  /** The link in use. Throws a FaultError of kind `unreachable` when there is none. */
  get server(): ServerLink {
    if (this.#current?.link.isUp) return this.#current;
    const fault = this.#current?.link.end?.fault;
    throw new FaultError(
      fault ?? { kind: 'unreachable', message: `${publicEndpoint(this.#options.endpoint)}: not connected` },
    );
  }

  /** Dials a fresh link in place of whatever was there. The function that comes back drops it. */
  open(events: ConnectionEvents): () => void {
    this.#current?.drop();
    const server = new ServerLink(this.#options, {
      up: () => {
        this.#observeArrival();
        events.up();
      },
      draining: events.draining,
      down: (end) => {
        if (end.cause === 'refused') for (const death of this.#mourned) death.observeRefusal();
        if (this.#current === server && server.death.isAwaited) this.#mourn(server.death);
        events.down(end);
      },
    });
    this.#current = server;
    return () => server.drop();
  }

  #mourn(death: DeathWatch): void {
    this.#mourned.add(death);
    death.onForgotten = () => this.#mourned.delete(death);
  }

  /** Somebody listens again: is it somebody else than before? */
  #observeArrival(): void {
    if (this.#mourned.size === 0) return;
    void listeningInodes(Number(new URL(this.#options.endpoint).port || 80)).then((inodes) => {
      for (const death of this.#mourned) death.observeListeners(inodes);
    });
  }

  [Symbol.dispose](): void {
    this.#current?.drop();
    for (const death of this.#mourned) death[Symbol.dispose]();
    this.#mourned.clear();
  }
}

/** One link with the client on it and the watch over the server behind it. */
export class ServerLink {
  readonly link: Link;
  readonly death: DeathWatch;
  #client: EngineClient | null = null;
  #interceptors: Interceptor[];
  #onUnknownRefusal: ConnectionOptions['onUnknownRefusal'];
  #isIdentified = false;
  #lostListeners = new Set<() => void>();

  constructor(
    { endpoint, budgets, interceptor, onStall, onUnknownRefusal }: ConnectionOptions,
    events: ConnectionEvents,
  ) {
    this.#onUnknownRefusal = onUnknownRefusal;
    this.#interceptors = interceptor ? [interceptor] : [];
    this.death = new DeathWatch(budgets.settleMs);
    this.link = new Link(
      { endpoint, pingIntervalMs: budgets.pingIntervalMs, pingTimeoutMs: budgets.pingTimeoutMs },
      {
        ...(onStall ? { stalled: onStall } : {}),
        up: events.up,
        draining: events.draining,
        down: (end) => {
          // A draining server stops listening while it lives: a refusal then proves nothing.
          const isAbrupt = end.cause === 'closed' || end.cause === 'reset';
          if (isAbrupt && !this.link.isDraining) this.death.observeClose();
          for (const lost of this.#lostListeners) lost();
          events.down(end);
          this.death.outliveLink();
        },
      },
    );
  }

  get client(): EngineClient {
    this.#client ??= createClient(
      Engine,
      createGrpcTransport({
        link: this.link,
        maxMessageBytes: MAX_MESSAGE_BYTES,
        interceptors: this.#interceptors,
      }),
    );
    return this.#client;
  }

  /** Makes a call; whatever goes wrong comes as an RpcError. */
  async call<T>(rpc: (client: EngineClient) => Promise<T>): Promise<T> {
    try {
      return await rpc(this.client);
    } catch (error) {
      throw this.refused(error);
    }
  }

  /** What went wrong with a call on this link. */
  refused(error: unknown): RpcError {
    const refusal = new RpcError(error, this.link);
    if (refusal.fault.isUnknown) this.#onUnknownRefusal?.(refusal.fault);
    return refusal;
  }

  /**
   * Searches for the server's process, once. It takes a while on a busy machine, and succeeds only while the connection
   * lives: a drain that comes first leaves no proof of the server's death at all.
   */
  identify(): void {
    const ends = this.#isIdentified ? null : this.link.addresses;
    this.#isIdentified = true;
    // Without the process there is weak proof; a host without /proc has no other.
    if (ends) this.death.identify(ends).catch(() => {});
  }

  /**
   * Tells `waiter` of the end of the link and of the server's death, until the function that comes back is called.
   */
  watch({ lost, dead }: LinkWaiter): () => void {
    this.identify();
    this.#lostListeners.add(lost);
    const unwatch = this.death.watch(dead);
    return () => {
      this.#lostListeners.delete(lost);
      unwatch();
    };
  }

  drop(): void {
    this.link.drop();
  }
}

export interface LinkWaiter {
  /** The link ended; what the server does is not known any more. Not called for a link that had ended before. */
  readonly lost: () => void;
  readonly dead: DeathWaiter;
}
