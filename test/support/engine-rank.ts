/** Ranks and connections as the items of the catalogue have them. */
export {
  expectRefusal,
  hashesOf,
  hashOf,
  Rank as TestRank,
  type RankOptions,
  ServerConnection as TestConnection,
  ServerSession as TestSession,
  uniqueId,
} from '../../src/check/rank.ts';
