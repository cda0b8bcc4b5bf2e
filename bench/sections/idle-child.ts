/** A process that measures its own CPU time while it does what the arguments name: contents, endpoint, ranks, window. */
import { setTimeout } from 'node:timers/promises';
import { ConnectorInstance } from '../connector-instance.ts';
import { RankMemory } from '../rank-memory.ts';
import { monotonicMs } from '../statistics.ts';
import type { IdleContents, IdleReading } from './idle.ts';

const NUM_BLOCKS = 8;

/** What a start leaves to be done in the background, and the first audit, are over by then; milliseconds. */
const CALM_MS = 3_000;

const [contents, endpoint = '', ranks, windowMs] = process.argv.slice(2);
process.once('disconnect', () => process.exit());

const hold: Record<IdleContents, () => Promise<() => Promise<void>>> = {
  async nothing() {
    return async () => {};
  },
  async instance() {
    const memory = new RankMemory(Number(ranks), NUM_BLOCKS);
    const instance = new ConnectorInstance(endpoint, memory).start();
    await instance.service.turned('up');
    return async () => {
      await instance[Symbol.asyncDispose]();
      memory[Symbol.dispose]();
    };
  },
};

const letGo = await hold[contents as IdleContents]();
await setTimeout(CALM_MS);
const startedAtMs = monotonicMs();
const before = process.cpuUsage();
await setTimeout(Number(windowMs));
const { user, system } = process.cpuUsage(before);
const reading: IdleReading = { cpuPercent: ((user + system) / 1_000 / (monotonicMs() - startedAtMs)) * 100 };
await letGo();
process.send?.(reading, () => process.disconnect());
