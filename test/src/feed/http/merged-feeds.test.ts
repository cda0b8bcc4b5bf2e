import { once } from 'node:events';
import http from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ConnectorFeed } from '../../../../src/feed/connector-feed.ts';
import { mergeFeeds } from '../../../../src/feed/http/merged-feeds.ts';
import { type FeedServer, serveFeed } from '../../../../src/feed/http/server.ts';
import { LiveFeed } from '../../../../src/feed/live-feed.ts';
import type { FeedRecord } from '../../../../src/feed/record.ts';
import { atEnd } from '../../../support/own.ts';
import { eventually } from '../../../support/within.ts';
import { MACHINE, seen, transition } from '../records.ts';

interface Merged {
  readonly records: FeedRecord[];
  /** `reached` or the reason why not, each with its address. */
  readonly heard: string[];
  until(what: string, condition: () => boolean): Promise<unknown>;
}

function merge(...addresses: string[]): Merged {
  const records: FeedRecord[] = [];
  const heard: string[] = [];
  const controller = new AbortController();
  const merged = mergeFeeds(
    addresses,
    (record) => records.push(record),
    {
      reached: (address) => heard.push(`${address} reached`),
      lost: (address, reason) => heard.push(`${address} lost: ${reason}`),
    },
    controller.signal,
  );
  atEnd(() => {
    controller.abort();
    return merged;
  });
  return { records, heard, until: (what, condition) => eventually(what, () => condition() || null, 20_000) };
}

const addressOf = ({ port }: Pick<FeedServer, 'port'>) => `127.0.0.1:${port}`;

describe('feeds of several processes, read as one', () => {
  test.each([
    ['a record', 'data: {"type":"header","version":1,"feedId":"f"}\n\ndata: '],
    ['a header', 'data: '],
    ['a comment', ':'],
  ])('%s without an end is given up, and told', async (_, begun) => {
    let sentBytes = 0;
    const server = http.createServer((__, response) => {
      response.write(begun);
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(1 << 16))) sentBytes += 1 << 16;
      };
      response.on('drain', more);
      more();
    });
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const { heard, until } = merge(`127.0.0.1:${port}`);
    await until('the loss', () => heard.some((word) => /lost/.test(word)));
    expect(heard[0]).toBe(`127.0.0.1:${port} lost: a line of more than 1048576 bytes`);
    expect(sentBytes).toBeLessThan(1 << 27);
  });

  test('tell the past in the order of its time, and then what happens', async () => {
    const feeds = [new ConnectorFeed(), new ConnectorFeed()] as const;
    atEnd(() => Promise.all(feeds.map((feed) => feed.close())));
    const servers = await Promise.all(feeds.map((feed) => feed.listen()));
    const rank = 'replica/rank 0';
    feeds[0].accept(seen({ atMs: 1 }));
    feeds[1].accept(seen({ atMs: 2, machine: rank, kind: 'worker', rank: 0 }));
    feeds[0].accept(transition(3, 'reconnecting.dialing', 'reRegistering'));
    feeds[1].accept(transition(4, 'reconnecting.dialing', 'reRegistering', { machine: rank }));
    feeds[0].accept(transition(5, 'reRegistering', 'connected'));
    const merged = merge(...servers.map(addressOf));
    await merged.until('the past', () => merged.records.length === 5);
    expect(merged.records.map(({ atMs }) => atMs)).toEqual([1, 2, 3, 4, 5]);
    feeds[1].accept(transition(6, 'reRegistering', 'connected', { machine: rank }));
    await merged.until('the present', () => merged.records.length === 6);
  });

  test('keep the order of each feed, although a machine was told again with an older time', async () => {
    const feeds = [new ConnectorFeed(), new ConnectorFeed()] as const;
    atEnd(() => Promise.all(feeds.map((feed) => feed.close())));
    const servers = await Promise.all(feeds.map((feed) => feed.listen()));
    const toldAgain: FeedRecord[] = [seen({ atMs: 1 }), { type: 'gone', atMs: 5, machine: MACHINE }, seen({ atMs: 1 })];
    for (const record of toldAgain) feeds[0].accept(record);
    const other = seen({ atMs: 3, machine: 'other/scheduler', instance: 'other' });
    feeds[1].accept(other);
    const merged = merge(...servers.map(addressOf));
    await merged.until('the past', () => merged.records.length === 4);
    expect(merged.records).toEqual([toldAgain[0], other, toldAgain[1], toldAgain[2]]);
  });

  test('tell one feed once that is reached at two addresses', async () => {
    const feed = new ConnectorFeed();
    atEnd(() => feed.close());
    const servers = [await feed.listen(), await feed.listen()];
    feed.accept(seen());
    const addresses = servers.map(addressOf);
    const merged = merge(...addresses, addresses[0]!);
    const isReached = (address: string) => merged.heard.includes(`${address} reached`);
    await merged.until('both', () => addresses.every(isReached));
    feed.accept(transition(1, 'reconnecting.dialing', 'connected'));
    feed.accept(transition(2, 'connected', 'degraded'));
    await merged.until('the present', () => merged.records.some(({ atMs }) => atMs === 2));
    await feed.close();
    await merged.until('the loss', () =>
      addresses.every((address) => merged.heard.some((heard) => heard.startsWith(`${address} lost`))),
    );
    expect(merged.records.map(({ type }) => type)).toEqual(['machine', 'transition', 'transition', 'gone']);
  });

  test('say that a machine is gone after its last step, although the clock of its host is ahead', async () => {
    const feed = new ConnectorFeed();
    const merged = merge(addressOf(await feed.listen()));
    const aheadMs = Date.now() + 3_600_000;
    feed.accept(seen());
    feed.accept(transition(aheadMs, 'reconnecting.dialing', 'connected'));
    await merged.until('the step', () => merged.records.length === 2);
    await feed.close();
    await merged.until('the loss', () => merged.records.length === 3);
    expect(merged.records[2]).toEqual({ type: 'gone', atMs: aheadMs, machine: MACHINE });
  });

  test('go on after a connection was lost, without telling anything twice', async () => {
    const feed = new LiveFeed(4);
    const first = await serveFeed(feed);
    feed.history.push(seen());
    feed.history.push(transition(1, 'reconnecting.dialing', 'connected'));
    const merged = merge(addressOf(first));
    await merged.until('the past', () => merged.records.length === 2);
    await first.close();
    await merged.until('the loss', () => merged.records.length === 3);
    expect(merged.records[2]).toMatchObject({ type: 'gone', machine: MACHINE });
    const missed = [
      transition(2, 'connected', 'degraded'),
      transition(3, 'degraded', 'reconnecting.dialing'),
      transition(4, 'reconnecting.dialing', 'connected'),
    ];
    for (const record of missed) feed.history.push(record);
    const second = await serveFeed(feed, { port: first.port });
    atEnd(() => second.close());
    await merged.until('what was missed', () => merged.records.length === 7);
    expect(merged.records.slice(3)).toEqual([seen({ atMs: 1, state: 'connected' }), ...missed]);
  });

  test('say where a machine stands when the connection is back although nothing has happened', async () => {
    const feed = new LiveFeed(4);
    const first = await serveFeed(feed);
    feed.history.push(seen());
    const merged = merge(addressOf(first));
    await merged.until('the past', () => merged.records.length === 1);
    await first.close();
    const second = await serveFeed(feed, { port: first.port });
    atEnd(() => second.close());
    await merged.until('the machine', () => merged.records.length === 3);
    expect(merged.records.slice(1)).toEqual([expect.objectContaining({ type: 'gone', machine: MACHINE }), seen()]);
  });

  test('begin anew with the process that took the place of another', async () => {
    const before = new ConnectorFeed();
    const { port } = await before.listen();
    for (const record of [seen(), transition(1, 'reconnecting.dialing', 'connected')]) before.accept(record);
    const merged = merge(addressOf({ port }));
    await merged.until('the past', () => merged.records.length === 2);
    await before.close();
    await merged.until('the loss', () => merged.records.length === 3);
    const after = new ConnectorFeed();
    atEnd(() => after.close());
    await after.listen({ port });
    const anew = [seen({ atMs: 2, pid: 2 }), transition(3, 'reconnecting.dialing', 'connected')];
    for (const record of anew) after.accept(record);
    await merged.until('the new process', () => merged.records.length === 5);
    expect(merged.records.slice(3)).toEqual(anew);
  });

  test('are not held up by one that is not there, or that is frozen', async () => {
    const feed = new ConnectorFeed();
    atEnd(() => feed.close());
    const sockets: Socket[] = [];
    const frozen = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    const absent = createServer().listen(0, '127.0.0.1');
    await Promise.all([once(frozen, 'listening'), once(absent, 'listening')]);
    const absentPort = (absent.address() as AddressInfo).port;
    absent.close();
    atEnd(() => {
      for (const socket of sockets) socket.destroy();
      frozen.close();
    });
    feed.accept(seen());
    const addresses = [
      addressOf(frozen.address() as AddressInfo),
      `127.0.0.1:${absentPort}`,
      addressOf(await feed.listen()),
    ];
    const merged = merge(...addresses);
    // Long before the frozen one is given up.
    await eventually('the one that is there', () => merged.records.length === 1 || null, 10_000);
    expect(merged.heard).toContain(`127.0.0.1:${absentPort} lost: connect ECONNREFUSED 127.0.0.1:${absentPort}`);
    expect(merged.heard).toContain(`${addresses[2]} reached`);
  });

  test.each<[string, http.RequestListener, RegExp]>([
    [
      'says that it is none',
      (_, response) => response.writeHead(404).end(),
      /what answers there is no feed of connectors$/,
    ],
    ['refuses', (_, response) => response.writeHead(503).end(), /it answers with status 503$/],
    [
      'sends something else',
      (_, response) => response.end('data: {"hello":1}\n\n'),
      /what answers there is no feed of connectors$/,
    ],
    ['sends no JSON', (_, response) => response.end('data: {\n\n'), /JSON/],
    [
      'is of another version',
      (_, response) => response.end('data: {"type":"header","version":2}\n\n'),
      /its feed is of version 2; this reads version 1/,
    ],
    [
      'sends a page',
      (_, response) => response.end('<html>\n</html>\n'),
      /what answers there is no feed of connectors$/,
    ],
    [
      'has ended',
      (_, response) => response.end('data: {"type":"header","version":1,"feedId":"a"}\n\n'),
      /it has ended$/,
    ],
    [
      'dies amid a word',
      (_, response) => {
        response.write('data: {"type":');
        setImmediate(() => response.destroy());
      },
      /the connection was lost/,
    ],
  ])('name a server that %s, and try again', async (_, answer, reason) => {
    const server = http.createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(() => server.close());
    const address = addressOf(server.address() as AddressInfo);
    const merged = merge(address);
    await merged.until('two attempts', () => merged.heard.length >= 2);
    for (const heard of merged.heard) expect(heard).toMatch(reason);
    expect(merged.records).toEqual([]);
  });
});
