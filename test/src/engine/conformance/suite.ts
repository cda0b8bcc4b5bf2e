import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DeviceDriver } from '../../../../native-bindings/device-memory.ts';
import { shmObjectsOf } from '../../../native-bindings/shm-objects.ts';
import { type EngineClient, type RankOptions, TestConnection, TestRank } from '../../../support/engine-rank.ts';

/** A server under test, and what can be done to it besides calling it. */
export interface ConformanceTarget extends AsyncDisposable {
  /** `http://127.0.0.1:50055` */
  readonly endpoint: string;
  /** `http://127.0.0.1:9091`, or `null` where it is not reachable. */
  readonly httpEndpoint: string | null;
  /** Memory that the server can map, or `null` where we have none. */
  readonly driver: DeviceDriver | null;
  /** What only a server that is ours to treat badly offers. */
  readonly control: ConformanceControl | null;
}

interface ConformanceControl {
  fault(patch: object): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<unknown>;
  readonly isRunning: boolean;
  /** Settles when a line with these words was logged. */
  logged(words: string): Promise<void>;
  /** The same address again, after this one has ended. */
  restart(): Promise<ConformanceTarget>;
}

/** What an item that needs mapped memory starts with: one rank, not yet registered. */
export interface Scene {
  readonly driver: DeviceDriver;
  readonly rank: TestRank;
}

/** What an item that needs a server of its own starts with. */
export interface OwnScene extends Scene {
  readonly target: ConformanceTarget;
  readonly control: ConformanceControl;
}

/** Items about the same thing, to be declared inside a `describe`. */
export type ConformanceItems = (suite: ConformanceSuite) => void;

export const LOST = /^instance .* not found$/;
export const UNKNOWN_LEASE = /query lease is unknown or expired$/;
/** A group that no instance has: asking for it tells whether the instance is sealed, and does nothing else. */
export const PROBE_GROUP = 0xffff_ffff;

/** One server for all items, a connection for each, and whatever an item opens, which ends with it. */
export class ConformanceSuite {
  readonly #connect: () => Promise<ConformanceTarget>;
  readonly #kept: (Disposable | AsyncDisposable)[] = [];
  #target: ConformanceTarget | null = null;
  #connection: TestConnection | null = null;

  /** Declares the hooks of the surrounding `describe`; `connect` gives a fresh server, or the only one. */
  constructor(connect: () => Promise<ConformanceTarget>) {
    this.#connect = connect;
    beforeAll(async () => {
      this.#target = await connect();
    });
    beforeEach(() => {
      this.#connection = this.open();
    });
    afterEach(async () => {
      for (const kept of this.#kept.splice(0).reverse()) {
        if (Symbol.dispose in kept) kept[Symbol.dispose]();
        else await kept[Symbol.asyncDispose]();
      }
      expect(shmObjectsOf(process.pid)).toEqual([]);
    });
    afterAll(async () => {
      await this.#target?.[Symbol.asyncDispose]();
    });
  }

  get target(): ConformanceTarget {
    if (this.#target === null) throw new Error('no server yet');
    return this.#target;
  }

  get client(): EngineClient {
    if (this.#connection === null) throw new Error('no connection yet');
    return this.#connection.client;
  }

  /** Disposes of `resource` at the end of the item. */
  keep<T extends Disposable | AsyncDisposable>(resource: T): T {
    this.#kept.push(resource);
    return resource;
  }

  open(endpoint = this.target.endpoint): TestConnection {
    return this.keep(new TestConnection(endpoint));
  }

  rankOf(driver: DeviceDriver, options: RankOptions = {}, client = this.client): TestRank {
    return this.keep(new TestRank(client, driver, options));
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

  /** An item that needs memory which the server maps. */
  memoryTest(title: string, body: (scene: Scene) => Promise<void>, options: RankOptions = {}): void {
    test(title, async ({ skip }) => {
      const { driver } = this.target;
      if (driver === null) return skip('needs device memory that the server can map');
      await body({ driver, rank: this.rankOf(driver, options) });
    });
  }

  /** An item that also needs a server which is ours to stop or to give faults. */
  controlTest(title: string, body: (scene: OwnScene) => Promise<void>): void {
    test(title, async ({ skip }) => {
      const { driver } = this.target;
      if (driver === null || this.target.control === null) return skip('needs fault switches or signals');
      const target = this.keep(await this.#connect());
      if (target.control === null) throw new Error('a fresh server without control');
      const rank = this.rankOf(driver, {}, this.open(target.endpoint).client);
      await body({ target, control: target.control, driver, rank });
    });
  }
}
