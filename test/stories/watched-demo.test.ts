import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FeedRecord } from '../../src/feed/record.ts';
import { readRecording } from '../../src/feed/recording.ts';
import { readFeed } from '../src/feed/http/sse.ts';
import { atEnd } from '../support/own.ts';
import { startDemo } from './demo-process.ts';

const isEnd = (record: FeedRecord) =>
  record.type === 'transition' && record.machine === 'demo/scheduler' && record.to === 'stopped';

const ARGS = ['--restarts', '1', '--requests', '16', '--outage-ms', '200', '--json'];

test('a demo can be watched while it runs and replayed afterwards: the outage, every rank, the server and the cache', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-demo-'));
  atEnd(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'recording.jsonl');
  const demo = startDemo(...ARGS, '--inspect', '--record', path);
  const [url = ''] = /http:\S+/.exec(await demo.line(/live page: /)) ?? [];
  const reader = await readFeed(url);
  await reader.until('the outage', (record) => record.type === 'server' && record.what === 'stopped');
  await demo.line(/the live page stays at/);
  await reader.until('the end of the scheduler', isEnd);
  demo.child.kill('SIGINT');
  const { code, stdout } = await demo.ended;
  expect(code).toBe(0);
  await reader.ended;

  const { history } = await readRecording(path);
  const recorded = history.read(0, 100_000)?.map(({ record }) => record) ?? [];
  expect(recorded).toEqual(reader.records);
  const server = recorded.filter(({ type }) => type === 'server');
  expect(server).toMatchObject([
    { what: 'listening', how: null },
    { what: 'stopped', how: 'kill' },
    { what: 'listening', how: null },
    // The demo has ended it: the page that stays must not call it there.
    { what: 'stopped', how: null },
  ]);
  for (const machine of ['demo/scheduler', 'demo/rank 0', 'demo/rank 1']) {
    const states = recorded.flatMap((record) =>
      record.type === 'transition' && record.machine === machine ? record.to : [],
    );
    const tops = states.map((state) => state.split('.')[0]).filter((state, index, all) => state !== all[index - 1]);
    expect(tops.join(' ')).toMatch(
      /reRegistering connected( degraded)? reconnecting .*reRegistering connected .*stopped$/,
    );
  }
  const { queries, queriedBlocks, oracle } = JSON.parse(stdout);
  expect(recorded.findLast(({ type }) => type === 'cache')).toMatchObject({
    instance: 'demo',
    queries,
    askedBlocks: queriedBlocks,
    hitBlocks: oracle.hitBlocks,
    missesDegraded: expect.toSatisfy((count: number) => count > 0),
  });
}, 120_000);
