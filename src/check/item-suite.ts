/** What the items of the catalogue are declared with, and what each of them may use. */
import type { DeviceDriver } from '../../native-bindings/index.ts';
import { type EngineClient, Rank, type RankOptions, ServerConnection } from './rank.ts';

/** A server, and what can be done to it besides calling it. */
export interface CheckedServer {
  /** `http://127.0.0.1:50055` */
  readonly endpoint: string;
  /** `http://127.0.0.1:9091`, or `null` where it is not reachable. */
  readonly httpEndpoint: string | null;
  /** Memory that the server can map, or `null` where we have none. */
  readonly driver: DeviceDriver | null;
}

/** What only a server offers that one may stop, or give faults. */
export interface ServerControl {
  fault(patch: object): Promise<void>;
  /** Settles when the one call of this method has arrived for which a switch was set. */
  taken(method: string): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<unknown>;
  readonly isRunning: boolean;
  /** Settles when a line with these words was logged. */
  logged(words: string): Promise<void>;
  /** The same address again, after this one has ended. */
  restart(): Promise<CheckedServer & AsyncDisposable>;
}

/** What an item asks of a server that may be given faults. */
export interface ControlNeeds {
  /** Single RPCs are made to fail, or answered Loading. Default false. */
  readonly hasRpcFaults?: boolean;
}

/** What an item that needs mapped memory starts with: one rank, not yet registered. */
export interface Scene {
  readonly driver: DeviceDriver;
  readonly rank: Rank;
}

/** What an item that needs a server of its own starts with. */
export interface OwnScene extends Scene {
  readonly target: CheckedServer;
  readonly control: ServerControl;
}

/** Declares items about the same thing. */
export type ItemGroup = (suite: ItemSuite) => void;

export const LOST = /^instance .* not found$/;
export const UNKNOWN_LEASE = /query lease is unknown or expired$/;
/** A group that no instance has: asking for it tells whether the instance is sealed, and does nothing else. */
export const PROBE_GROUP = 0xffff_ffff;

/** What an item needs is not to be had: it says nothing about the server. */
export class NotAskedError extends Error {
  override readonly name = 'NotAskedError';
}

/** Whoever runs the items declares them in a way of its own; what an item opens ends with it. */
export abstract class ItemSuite {
  readonly #kept: (Disposable | AsyncDisposable)[] = [];
  #client: EngineClient | null = null;

  abstract get target(): CheckedServer;

  /** An item that needs nothing but the calls. */
  abstract wireTest(title: string, body: () => Promise<void>): void;

  /** An item that needs a load record which the server can open. */
  abstract recordTest(title: string, body: () => Promise<void>): void;

  /** An item that asks the HTTP port. */
  abstract httpTest(title: string, body: () => Promise<void>): void;

  /** An item that needs memory which the server maps, and saves nothing. */
  abstract memoryTest(title: string, body: (scene: Scene) => Promise<void>, options?: RankOptions): void;

  /** An item that needs memory which the server maps, and leaves blocks in its cache. */
  abstract savingTest(title: string, body: (scene: Scene) => Promise<void>, options?: RankOptions): void;

  /** An item that also needs a server which may be stopped or given faults. */
  abstract controlTest(title: string, body: (scene: OwnScene) => Promise<void>, needs?: ControlNeeds): void;

  /** A client on the connection of this item. */
  get client(): EngineClient {
    this.#client ??= this.open().client;
    return this.#client;
  }

  /** Disposes of `resource` at the end of the item. */
  keep<T extends Disposable | AsyncDisposable>(resource: T): T {
    this.#kept.push(resource);
    return resource;
  }

  open(endpoint = this.target.endpoint): ServerConnection {
    return this.keep(new ServerConnection(endpoint));
  }

  rankOf(driver: DeviceDriver, options: RankOptions = {}, client = this.client): Rank {
    return this.keep(new Rank(client, driver, options));
  }

  /** One request to the HTTP port. */
  async http(
    method: string,
    path: string,
    endpoint = this.target.httpEndpoint,
  ): Promise<{ status: number; text: string }> {
    const response = await fetch(`${endpoint}${path}`, { method });
    return { status: response.status, text: await response.text() };
  }

  /** Gives back what the item has opened, the newest first. */
  protected async endItem(): Promise<void> {
    this.#client = null;
    for (const kept of this.#kept.splice(0).reverse()) {
      if (Symbol.dispose in kept) kept[Symbol.dispose]();
      else await kept[Symbol.asyncDispose]();
    }
  }
}
