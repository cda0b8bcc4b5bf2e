import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { Writable } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { describe, expect, test } from 'vitest';
import { screenFor } from '../../../src/cli/commands/show-status.ts';
import { statusText } from '../../../src/cli/output/status-table.ts';
import { ConnectorFeed } from '../../../src/feed/connector-feed.ts';
import type { FeedStatus } from '../../../src/feed/source.ts';
import { type CommandProcess, startCommand } from '../../stories/demo-process.ts';
import { atEnd } from '../../support/own.ts';
import { seen, transition } from '../feed/records.ts';

function start(...args: string[]): CommandProcess {
  const command = startCommand('status', ...args);
  atEnd(async () => {
    command.child.kill('SIGKILL');
    await command.ended;
  });
  return command;
}

async function servedFeed(): Promise<{ feed: ConnectorFeed; address: string }> {
  const feed = new ConnectorFeed();
  atEnd(() => feed.close());
  const { port } = await feed.listen();
  feed.accept(seen({ state: 'connected.serving', epoch: '#7' }));
  feed.accept(seen({ machine: 'replica/rank 0', kind: 'worker', rank: 0, state: 'connected', epoch: '#7' }));
  return { feed, address: `127.0.0.1:${port}` };
}

describe('the status command', () => {
  test('prints where every machine stands, and succeeds where all are connected', async () => {
    const { address } = await servedFeed();
    const { code, stdout, stderr } = await start(address).ended;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/replica\/scheduler │ connected.serving +│ .* │ #7 +│ - /);
    expect(stdout).toMatch(/replica\/rank 0 +│ connected /);
  });

  test('prints one JSON object, and says by its exit status that a machine is not connected', async () => {
    const { feed, address } = await servedFeed();
    feed.accept(transition(1, 'connected.serving', 'degraded.assessing', { epoch: '#7' }));
    const { code, stdout } = await start(address, '--json').ended;
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ machines: [{ state: 'degraded.assessing' }, { state: 'connected' }] });
  });

  test('prints again what has changed, until it is interrupted', async () => {
    const { feed, address } = await servedFeed();
    const command = start(address, '--json', '--watch');
    await command.line(/"state":"connected.serving"/);
    feed.accept(transition(1, 'connected.serving', 'degraded.assessing', { epoch: '#7' }));
    await command.line(/"state":"degraded.assessing"/);
    await feed.close();
    await command.line(/"error":"127.0.0.1:\d+ is not reachable: connect ECONNREFUSED/);
    command.child.kill('SIGINT');
    const { code, stdout } = await command.ended;
    expect(code).toBe(1);
    expect(stdout.trim().split('\n')).toHaveLength(3);
  });

  test('says in one line that nobody is there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const { code, stdout, stderr } = await start(`127.0.0.1:${port}`).ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(`error: 127.0.0.1:${port} is not reachable: connect ECONNREFUSED 127.0.0.1:${port}\n`);
  });

  test.each([
    ['no caches and no server', { machines: [] }],
    ['machines without a state', { machines: [{ machine: 'replica/scheduler' }], caches: [], server: null, atMs: 1 }],
    ['another kind of machine', { machines: [null], caches: [], server: null, atMs: 1 }],
  ])('says of an answer that has %s that it is no status', async (_, answer) => {
    const server = http.createServer((_, response) => response.end(JSON.stringify(answer))).listen(0, '127.0.0.1');
    atEnd(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stdout, stderr } = await start(`127.0.0.1:${port}`).ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe(`error: what answers at 127.0.0.1:${port} is no feed of connectors\n`);
  });

  test.each([
    ['a table', []],
    ['JSON', ['--json']],
    ['what is watched', ['--watch']],
  ])('shows in %s what a terminal would obey', async (_, flags) => {
    const { feed, address } = await servedFeed();
    const said = 'x\u001b]0;owned\u0007\u009b2J\u202e\nreplica │ connected';
    feed.accept(seen({ machine: said, state: said, epoch: said, evidence: { kind: said, message: said } }));
    feed.accept({ type: 'server', atMs: 1, what: said, how: said } as never);
    const command = start(address, ...flags);
    const line = await command.line(/server/);
    command.child.kill('SIGINT');
    const { stdout } = await command.ended;
    expect(line).toContain('x\\u001b]0;owned\\u0007\\u009b2J\\u202e');
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(stdout).not.toContain('\nreplica │ connected');
  });

  test('reads an answer up to a limit', async () => {
    const answer = JSON.stringify({ machines: [], caches: [], server: null, atMs: 1 });
    const server = http.createServer((_, response) => response.end(answer + ' '.repeat(5 << 20)));
    atEnd(() => server.close());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await start(`127.0.0.1:${port}`).ended;
    expect([code, stderr]).toEqual([1, `error: what answers at 127.0.0.1:${port} is no feed of connectors\n`]);
  });

  test('refuses what is no address', async () => {
    const { code, stderr } = await start('nowhere').ended;
    expect([code, stderr]).toEqual([2, expect.stringMatching(/Expected host:port/)]);
  });
});

describe('the screen of a status that is watched', () => {
  /** A terminal that keeps what is written to it. */
  function terminal(): { stream: WriteStream; written: () => string } {
    let text = '';
    const stream = new Writable({
      decodeStrings: false,
      write: (chunk, _, done) => {
        text += chunk;
        done();
      },
    });
    return { stream: Object.assign(stream, { isTTY: true, columns: 80, rows: 24 }) as never, written: () => text };
  }

  test('shows the text on a terminal, and nothing of what tells whether it is news', () => {
    const { stream, written } = terminal();
    const show = screenFor(stream, false);
    show('the table', 'the news');
    expect(written()).toContain('the table');
    expect(written()).not.toContain('the news');
  });
});

describe('what the status command prints', () => {
  const status: FeedStatus = {
    product: 'pegaflow-lifecycle 0.0.0',
    startedAtMs: 0,
    atMs: 100_000,
    machines: [],
    caches: [],
    server: null,
  };

  test('says since when, and what was found last', () => {
    const evidence = { kind: 'unreachable', message: 'read ECONNRESET' };
    const text = statusText({ ...status, machines: [seen({ atMs: 98_500, evidence })] });
    expect(text).toContain('│ 1.5 s │ -     │ unreachable: read ECONNRESET │');
  });

  test('cuts evidence to the width of the terminal', () => {
    const evidence = { kind: 'unreachable', message: 'read ECONNRESET by the peer at 127.0.0.1:50055' };
    const text = statusText({ ...status, machines: [seen({ evidence })] }, 100);
    expect(text.split('\n').map((line) => line.length)).toEqual([100, 100, 100, 100, 100]);
    expect(text).toContain('unreachable: read ECONN');
    expect(text).toContain('… │');
  });

  test('says what somebody should look at', () => {
    const troubles = [{ what: 'saves are turned off but for a try now and then', message: 'rejected: disk full' }];
    const text = statusText({ ...status, machines: [seen({ troubles })] });
    expect(text).toContain('replica/scheduler: saves are turned off but for a try now and then: rejected: disk full');
  });

  test('says what the cache gave and how the server went', () => {
    const counts = { queries: 20, askedBlocks: 200, hitBlocks: 50, misses: 12, missesDegraded: 3 };
    const text = statusText({
      ...status,
      machines: [seen()],
      caches: [{ type: 'cache', atMs: 99_000, instance: 'replica', ...counts }],
      server: { type: 'server', atMs: 60_000, what: 'stopped', how: 'kill' },
    });
    expect(text).toContain('replica: 25.0 % of 200 blocks hit in 20 queries, 3 of them without a server');
    expect(text).toContain('server: stopped (kill) for 40 s');
  });

  test('says that nobody is watched', () => {
    expect(statusText(status)).toBe('no connector is watched there');
  });
});
