import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { budgetTable, SchedulerConnector, WorkerConnector } from '../../../src/index.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import { startServer } from '../../support/server-under-test.ts';
import { startEngine, successorOf } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually, within } from '../../support/within.ts';

const options = { endpoint: 'http://127.0.0.1:1', instanceId: 'a', namespace: 'n', tpSize: 1, worldSize: 1 };
const rankOptions = { ...options, rank: 0, tpRank: 0, deviceId: 0 };
const hashes = hashesOf(2);

describe('embedding', () => {
  it('a host without a channel of its own carries announcements in metadata and reports in output', async () => {
    const engine = await startEngine();
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { isPushed: false }));
    instance.start();
    await instance.at('reRegistering.announcing');
    expect(instance.workers.map((worker) => worker.takeReport().epoch)).toEqual([null, null]);
    await eventually('the instance to be connected', () => {
      instance.step();
      return instance.scheduler.status.state === 'connected' ? true : null;
    });
    await instance.save('kept', [0, 1], hashes);
    await instance.hit('asks', hashes);
  });

  it('S-05: waits for a server that is not there at the start, answers misses, and comes up by itself', async () => {
    const gone = await startServer();
    const { grpcAddress, httpAddress } = gone;
    await gone[Symbol.asyncDispose]();
    const instance = own(new TestInstance(`http://${grpcAddress}`).start());
    await eventually('a refused dial', () => instance.scheduler.status.fault);
    expect(instance.scheduler.status.fault).toMatchObject({ kind: 'unreachable' });
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashes })).toEqual({
      kind: 'miss',
      reason: 'notConnected',
    });
    await startEngine({ addr: grpcAddress, httpAddr: httpAddress });
    await instance.reached('connected');
  });

  it('S-65: a scheduler that is replaced is followed by the workers that stay', async () => {
    const engine = await startEngine();
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`).start());
    await instance.reached('connected');
    await instance.save('kept', [0, 1], hashes);
    const successor = instance.replaceScheduler();
    await eventually(
      'the successor to be connected',
      () => (successor.status.state === 'connected' ? true : null),
      15_000,
    );
    await eventually('the ranks', () =>
      instance.workers.every((worker) => worker.status.state === 'connected') ? true : null,
    );
    await instance.hit('asks', hashes);
    expect(successor.scheduleLoad('asks', [2, 3])).toBe(true);
    expect(await instance.ended('asks', 'loaded')).toMatchObject({ failedLoads: [] });
  });

  it('S-38: a draining server gets its connections back and exits by itself, then its successor is taken up', async () => {
    const engine = await startEngine();
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`).start());
    await instance.reached('connected');
    engine.signal('SIGINT');
    await within(10_000, 'the server to exit', engine.exited);
    await successorOf(engine);
    await instance.reached('connected');
  });

  it('asks again only when it must: the same blocks twice are one lease, other blocks give the first one back', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`).start());
    await instance.reached('connected');
    await instance.save('kept', [0, 1], hashes);
    await instance.hit('asks', hashes);
    await engine.fault({ methods: { queryPrefetch: { refuse: { code: 3, message: 'req_id must not be empty' } } } });
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashes })).toEqual({
      kind: 'hit',
      blocks: 2,
    });
    expect(await instance.scheduler.query({ requestId: 'asks', blockHashes: hashesOf(1) })).toEqual({
      kind: 'miss',
      reason: 'failed',
    });
    expect(instance.scheduler.scheduleLoad('asks', [2, 3])).toBe(false);
    expect(instance.scheduler.status.state).toBe('connected');
  });

  it('polls a query that is loading under a budget, then counts it as a miss', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { loadingTimeoutMs: 50 };
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { budgets }).start());
    await instance.reached('connected');
    await engine.fault({ answerLoading: 1_000_000 });
    const ask = () => instance.scheduler.query({ requestId: 'asks', blockHashes: hashes });
    expect(await ask()).toEqual({ kind: 'loading' });
    await eventually('the miss', async () => ((await ask()).kind === 'miss' ? true : null));
  });

  it('a world size that the ranks do not fill never connects and says how far it is', async () => {
    const engine = await startEngine();
    const instance = own(
      new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1, budgets: { stalledAfterMs: 50 } }),
    );
    const { scheduler } = instance;
    const wide = new SchedulerConnector({ ...options, endpoint: `http://${engine.grpcAddress}`, worldSize: 3 });
    for (const worker of instance.workers) {
      wide.onAnnounce((announcement) => worker.acceptAnnouncement(announcement));
      worker.onReport((report) => wide.acceptReport(report));
    }
    wide.start();
    await eventually('the stall', () => (wide.status.path.startsWith('reRegistering.sealing') ? true : null));
    expect(scheduler.status.state).toBe('reconnecting');
    await wide.stop();
  });

  it('refuses impossible options with a sentence', () => {
    const scheduler = (change: object) => () => new SchedulerConnector({ ...options, ...change });
    expect(scheduler({ instanceId: '' })).toThrow('instanceId must not be empty');
    expect(scheduler({ instanceId: 'a:b' })).toThrow('must not contain ":"');
    expect(scheduler({ endpoint: '127.0.0.1:50055' })).toThrow('http://host:port');
    expect(scheduler({ endpoint: 'https://127.0.0.1:50055' })).toThrow('http://host:port');
    expect(scheduler({ endpoint: 'http://127.0.0.1:99999' })).toThrow('http://host:port');
    expect(scheduler({ endpoint: 'http://a b:80' })).toThrow('http://host:port');
    expect(scheduler({ endpoint: 'http://127.0.0.1:0' })).toThrow('http://host:port');
    expect(scheduler({ worldSize: 0 })).toThrow('worldSize');
    expect(scheduler({ tpSize: 1.5 })).toThrow('tpSize');
    expect(scheduler({ budgets: { dialTimeoutMs: 0 } })).toThrow('dialTimeoutMs must be above 0');
    expect(scheduler({ budgets: { dialTimeoutMs: 2 ** 31 } })).toThrow('dialTimeoutMs');
    expect(scheduler({ budgets: { dialTimeout: 5 } })).toThrow('unknown budget "dialTimeout"');
    expect(() => new WorkerConnector({ ...rankOptions, rank: 1 })).toThrow('rank 1 is not one of 1 ranks');
    expect(() => new WorkerConnector({ ...rankOptions, tpRank: 1 })).toThrow('tpRank 1 is not one of 1');
    expect(() => new WorkerConnector(rankOptions).registerKvCaches([])).toThrow('no KV cache layers');
  });

  it('refuses the report of a rank that cannot be one of its own', () => {
    const report = new WorkerConnector({ ...rankOptions, worldSize: 8, rank: 7 }).takeReport();
    expect(() => new SchedulerConnector(options).acceptReport(report)).toThrow('rank 7 is not one of 1 ranks');
  });

  it('stops cleanly when it was never started', async () => {
    expect(await new WorkerConnector(rankOptions).stop()).toEqual({ kind: 'clean' });
    expect(await within(5_000, 'the stop', new SchedulerConnector(options).stop())).toEqual({ kind: 'clean' });
  });

  it('names every wait in one table, in milliseconds, and uses every row of it', () => {
    const sources = ['machines', 'src']
      .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('budgets.ts'))
      .map((name) => readFileSync(name, 'utf8'))
      .join('\n');
    for (const [name, row] of Object.entries(budgetTable)) {
      expect(name).toMatch(/Ms$/);
      if (row.default !== null) expect(row.default).toBeGreaterThan(0);
      expect(row.end).not.toBe('');
      expect(sources, `${name} is used`).toMatch(new RegExp(`udgets\\.${name}\\b|\\b${name}\\b.*udgets`));
    }
  });
});
