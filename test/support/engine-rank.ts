/** Ranks and connections as the items of the catalogue have them. */
import type { DeviceDriver } from '../../native-bindings/device-memory.ts';
import { type EngineClient, Rank, type RankOptions } from '../../src/check/rank.ts';
import { versionUnderTest } from './version-under-test.ts';

export {
  expectRefusal,
  hashesOf,
  hashOf,
  type RankOptions,
  ServerConnection as TestConnection,
  ServerSession as TestSession,
  uniqueId,
} from '../../src/check/rank.ts';

/** A rank that says it is of the version of the server under test, unless it is told otherwise. */
export class TestRank extends Rank {
  constructor(client: EngineClient, driver: DeviceDriver, options: RankOptions = {}) {
    super(client, driver, { clientVersion: versionUnderTest, ...options });
  }
}
