/**
 * A process that measures its own memory before and after it holds what the arguments name: contents, endpoint, count.
 * Needs `--expose-gc`.
 */
import { setTimeout } from 'node:timers/promises';
import { BareLink } from '../bare-link.ts';
import { ConnectorInstance } from '../connector-instance.ts';
import { RankMemory } from '../rank-memory.ts';
import type { MemoryContents, MemoryGrowth } from './memory.ts';

const NUM_BLOCKS = 8;

/** An engine that registers hundreds of ranks at once answers nothing else meanwhile; giving it up would begin anew. */
const PATIENCE = { pingTimeoutMs: 60_000, dialTimeoutMs: 60_000, sessionTimeoutMs: 60_000, surveyTimeoutMs: 60_000 };

/** Memory is at rest when so many readings in a row differ by less than this. */
const CALM_READINGS = 5;
const CALM_BYTES = 64 << 10;
const READING_INTERVAL_MS = 100;
const REST_TIMEOUT_MS = 90_000;

const [contents, endpoint = '', countText] = process.argv.slice(2);
const count = Number(countText);
process.once('disconnect', () => process.exit());

const hold: Record<MemoryContents, (count: number) => Promise<() => Promise<void>>> = {
  async links(count) {
    const links = await Promise.all(Array.from({ length: count }, () => BareLink.dial(endpoint)));
    await Promise.all(links.map(({ client }) => client.health({})));
    return async () => {
      for (const bare of links) bare[Symbol.dispose]();
    };
  },
  async ranks(count) {
    const instance = new ConnectorInstance(endpoint, memoryOfCount.get(count)!, PATIENCE).start();
    await instance.service.turned('up');
    return () => instance[Symbol.asyncDispose]();
  },
};

/** The KV memory itself is not part of the cost of a rank: it is there before the first reading. */
const memoryOfCount = new Map([2, count].map((ranks) => [ranks, new RankMemory(ranks, NUM_BLOCKS)]));

/** Reads the memory once it has come to rest: a connection that is new has work in the background for a while. */
async function settle(): Promise<NodeJS.MemoryUsage> {
  const deadlineMs = performance.now() + REST_TIMEOUT_MS;
  let usage = process.memoryUsage();
  for (let calmReadings = 0; calmReadings < CALM_READINGS && performance.now() < deadlineMs; ) {
    await setTimeout(READING_INTERVAL_MS);
    globalThis.gc?.();
    const next = process.memoryUsage();
    const changedBytes = Math.abs(next.heapUsed + next.external - usage.heapUsed - usage.external);
    calmReadings = changedBytes < CALM_BYTES ? calmReadings + 1 : 0;
    usage = next;
  }
  return usage;
}

function isContents(name: string | undefined): name is MemoryContents {
  return name !== undefined && name in hold;
}

if (!isContents(contents)) throw new Error(`contents "${contents}" is none of ${Object.keys(hold)}`);
// Code and its compiled form are loaded once for any number of ranks.
await (await hold[contents](2))();
const before = await settle();
const letGo = await hold[contents](count);
const after = await settle();
const growth: MemoryGrowth = {
  rssBytes: after.rss - before.rss,
  heapBytes: after.heapUsed - before.heapUsed,
  externalBytes: after.external - before.external,
};
await letGo();
for (const memory of memoryOfCount.values()) memory[Symbol.dispose]();
process.send?.(growth, () => process.exit());
