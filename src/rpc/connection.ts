import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { type Budgets, type Fault, FaultError, type NoProof } from '../../machines/index.ts';
import { Engine } from '../gen/pegaflow/engine_pb.ts';
import { ioFirstTimer } from '../io-first-timer.ts';
import { publicEndpoint } from '../redacted.ts';
import { createGrpcTransport } from './grpc-transport.ts';
import { type DeathWaiter, DeathWatch } from './holder/death-watch.ts';
import { HolderSearch } from './holder/holder-search.ts';
import type { HolderWatch } from './holder/holder-watch.ts';
import type { OurMemory } from './holder/memory-holder.ts';
import { Link, type LinkEnd } from './link.ts';
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
 * What a connector knows of one server: at most one link, at most one older link that is silent and still owes an answer, and
 * of earlier links whatever still matters to transfers that they left behind.
 */
export class Connection {
  #options: ConnectionOptions;
  #current: ServerLink | null = null;
  /** Silent, and read on. */
  #old: ServerLink | null = null;
  #cancelGrace = () => {};
  /** On which bytes may still come. */
  #links = new Set<Link>();
  #bytesOfGoneLinks = 0;
  /** Of ended links: servers that are not known to be dead and on whose death somebody waits. */
  #deathsAwaited = new Set<DeathWatch>();
  #search: HolderSearch | null = null;
  #proof: ServerProof | null = null;
  /** Of links to come. */
  #pingIntervalMs: number;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#pingIntervalMs = options.budgets.pingIntervalMs;
  }

  /** What would prove the death of the server that holds the last registration. `null` until somebody looked. */
  get proof(): ServerProof | null {
    return this.#proof;
  }

  /** Processes that hold what was registered last, once they are known. */
  get holders(): readonly number[] {
    return this.#proof?.kind === 'process' ? this.#proof.pids : [];
  }

  /** A registration of this memory is about to be sent, or was made: from now on transfers are about this one. */
  beginRegistration(memory: OurMemory): HolderSearch {
    this.#search?.[Symbol.dispose]();
    this.#proof = null;
    const search = new HolderSearch(memory, (found) => {
      if (this.#search === search) this.#follow(proofBy(found, this.#options.isDirect === true));
    });
    this.#search = search;
    this.#current?.renewDeath();
    const ends = this.#current?.link.addresses ?? null;
    if (ends !== null) search.prepare(ends);
    return search;
  }

  #follow(proof: ServerProof): void {
    this.#proof = proof;
    this.#options.onProof?.(proof);
  }

  get isUp(): boolean {
    return this.#current?.link.isUp ?? false;
  }

  /** An older link is silent and may still bring answers. */
  get isReadingOn(): boolean {
    return this.#old !== null;
  }

  /** Bytes that came on all links so far, those among them that ended before they were up. */
  get bytesRead(): number {
    return [...this.#links].reduce((sum, { bytesRead }) => sum + bytesRead, this.#bytesOfGoneLinks);
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
    const budgets = { ...this.#options.budgets, pingIntervalMs: this.#pingIntervalMs };
    const server = new ServerLink({ ...this.#options, budgets }, () => this.#search, {
      up: () => {
        for (const death of this.#deathsAwaited) death.look();
        events.up();
      },
      draining: events.draining,
      down: (end) => {
        for (const death of this.#deathsAwaited) death.look();
        for (const death of server.deaths) if (death.isAwaited) this.#mourn(death);
        if (server.link.isReadOn) this.#readOn(server);
        else this.#forget(server.link);
        events.down(end.isPingAbuse ? this.#pingLess(end, budgets) : end);
      },
    });
    server.onAnswer = () => {
      if (this.#current === server && server.link.end === null) this.#judgeOld();
    };
    this.#links.add(server.link);
    this.#current = server;
    return () => server.drop();
  }

  /** Ends the older link. It is worth nothing any more once a new session took the place of the one on it. */
  dropOld(): void {
    this.#old?.link.destroy();
  }

  #readOn(server: ServerLink): void {
    // What waits on one that is still older waits for another proof.
    this.#old?.link.destroy();
    this.#old = server;
    server.onGone = () => {
      this.#forget(server.link);
      if (this.#old !== server) return;
      this.#cancelGrace();
      this.#cancelGrace = () => {};
      this.#old = null;
    };
  }

  #forget(link: Link): void {
    if (this.#links.delete(link)) this.#bytesOfGoneLinks += link.bytesRead;
  }

  /** The server answers on the new link: what stays silent on the old one is not silent for its sake. */
  #judgeOld(): void {
    const old = this.#old;
    if (old === null || old.isJudged) return;
    old.isJudged = true;
    const listen = () => {
      const bytesBefore = old.link.bytesRead;
      this.#cancelGrace = ioFirstTimer(this.#options.budgets.oldLinkGraceMs, () => {
        if (old.link.bytesRead > bytesBefore) listen();
        else old.link.destroy();
      });
    };
    listen();
  }

  /** gRPC proposal A8: who complains is pinged half as often from then on. */
  #pingLess(end: LinkEnd, { pingIntervalMs, pingIntervalMaxMs }: Budgets): LinkEnd {
    this.#pingIntervalMs = Math.max(this.#pingIntervalMs, Math.min(pingIntervalMaxMs, 2 * pingIntervalMs));
    const { fault } = end;
    const message = `${fault.message}: pinged every ${pingIntervalMs} ms, and from now on every ${this.#pingIntervalMs} ms`;
    return { ...end, fault: { ...fault, message } };
  }

  #mourn(death: DeathWatch): void {
    this.#deathsAwaited.add(death);
    death.atEnd(() => this.#deathsAwaited.delete(death));
  }

  [Symbol.dispose](): void {
    this.#current?.link.destroy();
    this.#old?.link.destroy();
    for (const death of this.#deathsAwaited) death[Symbol.dispose]();
    this.#search?.[Symbol.dispose]();
  }
}

/** One link with the client on it and the watch over the server behind it. */
export class ServerLink {
  readonly link: Link;
  /** For each registration on this link whose end somebody may still wait for, the newest last. */
  #deaths: DeathWatch[] = [];
  #newDeath: () => DeathWatch;
  #client: EngineClient | null = null;
  #interceptors: Interceptor[];
  #onUnknownRefusal: ConnectionOptions['onUnknownRefusal'];
  #search: () => HolderSearch | null;
  #lostListeners = new Set<() => void>();
  #goneListeners = new Set<() => void>();
  /** Answers that are worth waiting for on this very link: of loads and saves, and what depends on the end of a session. */
  #owed = 0;
  /** Calls that must not be followed by a link beside theirs while nobody knows what became of them. */
  #unanswered = 0;
  /** Called whenever the server answered. */
  onAnswer: () => void = () => {};
  /** Called when a link that was read on is gone. */
  onGone: () => void = () => {};
  /** Whether somebody counts how long it stays silent. */
  isJudged = false;

  constructor(
    { endpoint, budgets, interceptor, onStall, onUnknownRefusal, isDirect = false }: ConnectionOptions,
    search: () => HolderSearch | null,
    events: ConnectionEvents,
  ) {
    this.#search = search;
    this.#onUnknownRefusal = onUnknownRefusal;
    this.#interceptors = interceptor ? [interceptor] : [];
    this.#newDeath = () => new DeathWatch({ settleMs: budgets.settleMs, isDirect });
    this.#deaths.push(this.#newDeath());
    this.link = new Link(
      { endpoint, pingIntervalMs: budgets.pingIntervalMs, pingTimeoutMs: budgets.pingTimeoutMs },
      {
        ...(onStall ? { stalled: onStall } : {}),
        up: () => {
          this.#observeSockets();
          events.up();
        },
        draining: events.draining,
        down: (end) => {
          // A draining server stops listening while it lives: a refusal then proves nothing.
          const isAbrupt = end.cause === 'closed' || end.cause === 'reset';
          if (isAbrupt && !this.link.isDraining) for (const death of this.#deaths) death.observeClose();
          if (this.death.isAwaited) void this.#search()?.lookFor(this.death, null);
          for (const lost of this.#lostListeners) lost();
          events.down(end);
          for (const death of this.#deaths) death.retire();
          if (!this.link.isReadOn) this.#tellGone();
        },
        isOwed: () => this.#owed > 0 && this.#unanswered === 0,
        gone: (cause) => {
          if (cause === 'closed' || cause === 'reset') for (const death of this.#deaths) death.observeClose();
          this.onGone();
          this.#tellGone();
        },
      },
    );
  }

  /** Of the server that holds what was registered last. */
  get death(): DeathWatch {
    return this.#deaths.at(-1)!;
  }

  get deaths(): readonly DeathWatch[] {
    return this.#deaths;
  }

  /**
   * Another registration is about to be made: behind a proxy another process may hold it, whatever became of the one that held the
   * registration before.
   */
  renewDeath(): void {
    if (this.link.end !== null) return;
    const before = this.death;
    this.#deaths.push(this.#newDeath());
    this.#observeSockets();
    before.atEnd(() => {
      this.#deaths = this.#deaths.filter((death) => death !== before);
    });
    before.retire();
  }

  #observeSockets(): void {
    const ends = this.link.addresses;
    if (ends !== null) void this.death.observeSockets(ends).catch(() => {});
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
      const answer = await rpc(this.client);
      this.onAnswer();
      return answer;
    } catch (error) {
      const refusal = this.refused(error);
      if (refusal.isFinal) this.onAnswer();
      throw refusal;
    }
  }

  /** As {@link call}, for Register and Unregister: a link that owes their answer is never read on beside another one. */
  async callAlone<T>(rpc: (client: EngineClient) => Promise<T>): Promise<T> {
    this.#unanswered += 1;
    try {
      return await this.call(rpc);
    } finally {
      this.#unanswered -= 1;
    }
  }

  /** Something depends on this very link until the function that comes back is called. */
  owe(): () => void {
    this.#owed += 1;
    let isOwed = true;
    return () => {
      if (!isOwed) return;
      isOwed = false;
      this.#owed -= 1;
      if (this.#owed === 0 && this.link.isReadOn) this.link.destroy();
    };
  }

  /** What went wrong with a call on this link. */
  refused(error: unknown): RpcError {
    const refusal = new RpcError(error, this.link);
    if (refusal.fault.isUnknown) this.#onUnknownRefusal?.(refusal.fault);
    return refusal;
  }

  /**
   * What works on this link under the registration there is ends with the process that holds its memory: looks for that. Resolves
   * when the look is over, whatever it found.
   */
  async identify(): Promise<void> {
    await this.#search()?.join(this.death, this.link.addresses);
  }

  /**
   * Tells `waiter` of the end of the link and of the server's death, until the function that comes back is called.
   */
  watch({ lost, gone, dead }: LinkWaiter): () => void {
    void this.identify();
    this.#lostListeners.add(lost);
    const unwatch = this.death.watch(dead);
    if (gone !== undefined) this.#goneListeners.add(gone);
    const settle = gone === undefined ? () => {} : this.owe();
    return () => {
      this.#lostListeners.delete(lost);
      if (gone !== undefined) this.#goneListeners.delete(gone);
      unwatch();
      settle();
    };
  }

  /** Nothing will come on this link any more. */
  get isGone(): boolean {
    return this.link.end !== null && !this.link.isReadOn;
  }

  #tellGone(): void {
    for (const gone of this.#goneListeners) gone();
  }

  drop(): void {
    this.link.drop();
  }
}

export interface LinkWaiter {
  /** The link ended; what the server does is not known any more. Not called for a link that had ended before. */
  readonly lost: () => void;
  /**
   * Nothing will come on the link any more: at once after `lost`, or when a silent link is read no longer. Whoever wants to know
   * waits for an answer on this very link, so that it is read on while it is silent.
   */
  readonly gone?: () => void;
  readonly dead: DeathWaiter;
}

function proofBy(found: HolderWatch | NoProof, isDirect: boolean): ServerProof {
  if (typeof found !== 'string') return { kind: 'process', pids: found.pids };
  const isSeen = found === 'proxy' || found === 'notHere';
  return isDirect && !isSeen ? { kind: 'sockets' } : { kind: 'none', reason: found };
}
