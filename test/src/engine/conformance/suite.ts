import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { DeviceDriver } from '../../../../native-bindings/index.ts';
import {
  type CheckedServer,
  type ControlNeeds,
  ItemSuite,
  type OwnScene,
  type Scene,
  type ServerControl,
} from '../../../../src/check/item-suite.ts';
import type { Rank, RankOptions } from '../../../../src/check/rank.ts';
import { removeShmObjectsOf, shmObjectsOf } from '../../../native-bindings/shm-objects.ts';

/** A server under test, and what can be done to it besides calling it. */
export interface ConformanceTarget extends CheckedServer, AsyncDisposable {
  /** What its clients have to say that they are. */
  readonly version: string;
  readonly driver: DeviceDriver;
  readonly control: ConformanceControl;
}

interface ConformanceControl extends ServerControl {
  restart(): Promise<ConformanceTarget>;
}

/** Gives a fresh server. */
export type Connect = (needs?: ControlNeeds) => Promise<ConformanceTarget>;

/** The items as tests: one server for all of them, and a fresh one for each that stops it or gives it faults. */
export class ConformanceSuite extends ItemSuite {
  readonly #connect: Connect;
  #target: ConformanceTarget | null = null;

  /** Declares the hooks of the surrounding `describe`. */
  constructor(connect: Connect) {
    super();
    this.#connect = connect;
    beforeAll(async () => {
      this.#target = await connect();
    });
    afterEach(async () => {
      await this.endItem();
      const left = shmObjectsOf(process.pid);
      // Of an item that failed: the next one is not to be blamed for it.
      removeShmObjectsOf(process.pid);
      expect(left).toEqual([]);
    });
    afterAll(async () => {
      await this.#target?.[Symbol.asyncDispose]();
    });
  }

  get target(): ConformanceTarget {
    if (this.#target === null) throw new Error('no server yet');
    return this.#target;
  }

  override rankOf(driver: DeviceDriver, options: RankOptions = {}, client = this.client): Rank {
    return super.rankOf(driver, { clientVersion: this.target.version, ...options }, client);
  }

  wireTest(title: string, body: () => Promise<void>): void {
    test(title, body);
  }

  recordTest(title: string, body: () => Promise<void>): void {
    this.wireTest(title, body);
  }

  httpTest(title: string, body: () => Promise<void>): void {
    this.wireTest(title, body);
  }

  memoryTest(title: string, body: (scene: Scene) => Promise<void>, options: RankOptions = {}): void {
    test(title, async () => {
      const { driver } = this.target;
      await body({ driver, rank: this.rankOf(driver, options) });
    });
  }

  savingTest(title: string, body: (scene: Scene) => Promise<void>, options?: RankOptions): void {
    this.memoryTest(title, body, options);
  }

  controlTest(title: string, body: (scene: OwnScene) => Promise<void>, needs: ControlNeeds = {}): void {
    test(title, async () => {
      const { driver } = this.target;
      const target = this.keep(await this.#connect(needs));
      const rank = this.rankOf(driver, {}, this.open(target.endpoint).client);
      await body({ target, control: target.control, driver, rank });
    });
  }
}
