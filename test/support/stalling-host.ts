/** A host of one rank in a process of its own, which is told to save, to load, and to be busy for a while. */

import { hashesOf } from './engine-rank.ts';
import { stallEventLoop } from './stall-event-loop.ts';
import { TestInstance } from './test-instance.ts';
import { isProcessKnown } from './watched-processes.ts';
import { eventually } from './within.ts';

const [endpoint = ''] = process.argv.slice(2);
const hashes = hashesOf(3);
const instance = new TestInstance(endpoint, {
  worldSize: 1,
  budgets: { pingIntervalMs: 500, pingTimeoutMs: 1_500 },
}).start();
const [worker] = instance.workers;
const states: string[] = [];

const commands: Record<string, () => unknown> = {
  connect: async () => {
    await instance.reached('connected');
    await instance.save('kept', [0, 1, 2], hashes);
    await instance.hit('loads', hashes);
    for (const machine of [instance.scheduler, worker]) machine?.onStatus(({ state }) => states.push(state));
  },
  startLoad: async () => {
    instance.scheduler.scheduleLoad('loads', [4, 5, 6]);
    instance.step();
    await eventually('the rank to know the process', () => (isProcessKnown() ? true : null), 20_000);
  },
  stall: () => {
    process.send?.('stalled');
    stallEventLoop(3_000);
  },
  /** A query and a save over whatever links there are. */
  work: async () => {
    await instance.save('after', [3], hashesOf(1, 'after'));
    await instance.hit('asks', hashes);
    return { states, stats: worker?.stats, epoch: instance.scheduler.status.epoch?.counter };
  },
  endLoad: async () => {
    const { failedLoads } = await instance.ended('loads', 'loaded');
    await eventually('the rank to notice', () => (worker?.status.state === 'connected' ? null : true));
    return { failedLoads, ended: worker?.quarantine('load').ended, unsafeReleases: worker?.stats.unsafeReleases };
  },
};

process.on('message', async (name: string) => {
  const told = () => [...states, worker?.status.path, worker?.status.fault?.message].join(', ');
  const result = await Promise.resolve(commands[name]?.()).catch((error) => ({ error: `${error}; ${told()}` }));
  process.send?.({ name, result });
});
process.on('disconnect', () => process.exit());
