import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type CheckedServer,
  ItemSuite,
  type OwnScene,
  type Scene,
  type ServerControl,
} from '../../../../src/check/item-suite.ts';
import type { RankOptions } from '../../../../src/check/rank.ts';
import { shmObjectsOf } from '../../../native-bindings/shm-objects.ts';

/** A server under test, and what can be done to it besides calling it. */
export interface ConformanceTarget extends CheckedServer, AsyncDisposable {
  /** What only a server that is ours to treat badly offers. */
  readonly control: ConformanceControl | null;
}

interface ConformanceControl extends ServerControl {
  restart(): Promise<ConformanceTarget>;
}

/** The items as tests: one server for all of them, and a fresh one for each that stops it or gives it faults. */
export class ConformanceSuite extends ItemSuite {
  readonly #connect: () => Promise<ConformanceTarget>;
  #target: ConformanceTarget | null = null;

  /** Declares the hooks of the surrounding `describe`; `connect` gives a fresh server, or the only one. */
  constructor(connect: () => Promise<ConformanceTarget>) {
    super();
    this.#connect = connect;
    beforeAll(async () => {
      this.#target = await connect();
    });
    afterEach(async () => {
      await this.endItem();
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

  wireTest(title: string, body: () => Promise<void>): void {
    test(title, body);
  }

  recordTest(title: string, body: () => Promise<void>): void {
    this.wireTest(title, body);
  }

  httpTest(title: string, body: () => Promise<void>): void {
    test(title, async ({ skip }) => {
      if (this.target.httpEndpoint === null) return skip('needs the HTTP port');
      await body();
    });
  }

  memoryTest(title: string, body: (scene: Scene) => Promise<void>, options: RankOptions = {}): void {
    test(title, async ({ skip }) => {
      const { driver } = this.target;
      if (driver === null) return skip('needs device memory that the server can map');
      await body({ driver, rank: this.rankOf(driver, options) });
    });
  }

  savingTest(title: string, body: (scene: Scene) => Promise<void>, options?: RankOptions): void {
    this.memoryTest(title, body, options);
  }

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
