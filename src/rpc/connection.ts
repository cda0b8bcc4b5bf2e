import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { type Budgets, type Fault, FaultError } from '../../machines/index.ts';
import { Engine } from '../gen/pegaflow/engine_pb.ts';
import { publicEndpoint } from '../redacted.ts';
import { type DeathWaiter, DeathWatch } from './death-watch.ts';
import { createGrpcTransport } from './grpc-transport.ts';
import { HolderSearch, type NoProof } from './holder-search.ts';
import type { HolderWatch } from './holder-watch.ts';
import { Link, type LinkEnd } from './link.ts';
import type { OurMemory } from './memory-holder.ts';
import { RpcError } from './rpc-error.ts';

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
  /** Nothing stands between this process and the server, so that its sockets may speak for it. Default false. */
  readonly isDirect?: boolean;
  /** Told after each look for the process whose death would be proof. */
  readonly onProof?: (proof: ServerProof) => void;
}

/** What would prove the server's death: the end of these processes, its sockets, or nothing. */
export type ServerProof =
  | { readonly kind: 'process'; readonly pids: readonly number[] }
  | { readonly kind: 'sockets' }
  | { readonly kind: 'none'; readonly reason: NoProof };

/**
 * What a connector knows of one server: at most one link, and of earlier links whatever still matters to transfers
 * that they left behind.
 */
export class Connection {
  #options: ConnectionOptions;
  #current: ServerLink | null = null;
  /** Of ended links: servers that are not known to be dead and on whose death somebody waits. */
  #mourned = new Set<DeathWatch>();
  #search: HolderSearch | null = null;
  #proof: ServerProof | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** What would prove the death of the server that holds the last registration. `null` until somebody looked. */
  get proof(): ServerProof | null {
    return this.#proof;
  }

  /** A registration of this memory is about to be sent, or was made: from now on transfers are about this one. */
  beginRegistration(memory: OurMemory): HolderSearch {
    this.#search?.[Symbol.dispose]();
    this.#proof = null;
    const search = new HolderSearch(memory, (found) => {
      if (this.#search === search) this.#follow(proofBy(found, this.#options.isDirect === true));
    });
    this.#search = search;
    return search;
  }

  #follow(proof: ServerProof): void {
    this.#proof = proof;
    this.#options.onProof?.(proof);
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
    const server = new ServerLink(this.#options, () => this.#search, {
      up: () => {
        for (const death of this.#mourned) death.look();
        events.up();
      },
      draining: events.draining,
      down: (end) => {
        for (const death of this.#mourned) death.look();
        if (server.death.isAwaited) this.#mourn(server.death);
        events.down(end);
      },
    });
    this.#current = server;
    return () => server.drop();
  }

  #mourn(death: DeathWatch): void {
    this.#mourned.add(death);
    death.atEnd(() => this.#mourned.delete(death));
  }

  [Symbol.dispose](): void {
    this.#current?.drop();
    for (const death of this.#mourned) death[Symbol.dispose]();
    this.#search?.[Symbol.dispose]();
  }
}

/** One link with the client on it and the watch over the server behind it. */
export class ServerLink {
  readonly link: Link;
  readonly death: DeathWatch;
  #client: EngineClient | null = null;
  #interceptors: Interceptor[];
  #onUnknownRefusal: ConnectionOptions['onUnknownRefusal'];
  #search: () => HolderSearch | null;
  #lostListeners = new Set<() => void>();

  constructor(
    { endpoint, budgets, interceptor, onStall, onUnknownRefusal, isDirect = false }: ConnectionOptions,
    search: () => HolderSearch | null,
    events: ConnectionEvents,
  ) {
    this.#search = search;
    this.#onUnknownRefusal = onUnknownRefusal;
    this.#interceptors = interceptor ? [interceptor] : [];
    this.death = new DeathWatch({ settleMs: budgets.settleMs, isDirect });
    this.link = new Link(
      { endpoint, pingIntervalMs: budgets.pingIntervalMs, pingTimeoutMs: budgets.pingTimeoutMs },
      {
        ...(onStall ? { stalled: onStall } : {}),
        up: () => {
          const ends = this.link.addresses;
          if (ends !== null) void this.death.observeSockets(ends).catch(() => {});
          events.up();
        },
        draining: events.draining,
        down: (end) => {
          // A draining server stops listening while it lives: a refusal then proves nothing.
          const isAbrupt = end.cause === 'closed' || end.cause === 'reset';
          if (isAbrupt && !this.link.isDraining) this.death.observeClose();
          if (this.death.isAwaited) this.#search()?.lookFor(this.death, null);
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

  /** What works on this link under the registration there is ends with the process that holds its memory: looks for that. */
  identify(): void {
    this.#search()?.join(this.death, this.link.addresses);
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

function proofBy(found: HolderWatch | NoProof, isDirect: boolean): ServerProof {
  if (typeof found !== 'string') return { kind: 'process', pids: found.pids };
  const isSeen = found === 'proxy' || found === 'notHere';
  return isDirect && !isSeen ? { kind: 'sockets' } : { kind: 'none', reason: found };
}
