import dns from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { ConnectorFeed, type ConnectorFeedOptions } from '../../../../src/feed/connector-feed.ts';
import type { FeedServer } from '../../../../src/feed/http/server.ts';
import { atEnd } from '../../../support/own.ts';
import { eventually, within } from '../../../support/within.ts';
import { flapping, MACHINE, seen, transition } from '../records.ts';
import { get, readFeed, textOf } from './sse.ts';

async function served(options?: ConnectorFeedOptions): Promise<{ feed: ConnectorFeed; server: FeedServer }> {
  const feed = new ConnectorFeed(options);
  atEnd(() => feed.close());
  return { feed, server: await feed.listen() };
}

describe('a feed over HTTP', () => {
  test('begins with the header, goes on with what was and then with what happens', async () => {
    const { feed, server } = await served();
    for (const record of [seen(), ...flapping(2)]) feed.accept(record);
    const reader = await readFeed(server.url);
    expect(reader.header).toMatchObject({ type: 'header', version: 1, isLive: true, truncatedBeforeMs: null });
    expect(reader.header.charts.worker.nodes.length).toBeGreaterThan(10);
    await reader.until('the past', ({ atMs }) => atMs === 2);
    feed.accept(transition(9, 'connected', 'degraded'));
    await reader.until('the present', ({ atMs }) => atMs === 9);
    expect(reader.records).toEqual([seen(), ...flapping(2), transition(9, 'connected', 'degraded')]);
  });

  test('of a long past tells where it led, and then the newest records', async () => {
    const { feed, server } = await served({ historyLimit: 10 });
    for (const record of [seen(), ...flapping(1_000)]) feed.accept(record);
    const reader = await readFeed(server.url);
    await reader.until('the past', ({ atMs }) => atMs === 1_000);
    expect(reader.header.truncatedBeforeMs).toBe(991);
    expect(reader.records).toEqual([seen({ atMs: 990, state: 'connected' }), ...flapping(1_000).slice(990)]);
  });

  test('tells every reader all of it, in order, however many records there are', async () => {
    const { feed, server } = await served();
    const records = [seen(), ...flapping(5_000)];
    const readers = await Promise.all(Array.from({ length: 5 }, () => readFeed(server.url)));
    for (const record of records) feed.accept(record);
    for (const reader of readers) {
      await reader.until('the last', ({ atMs }) => atMs === 5_000);
      expect(reader.records).toEqual(records);
    }
  });

  test('tells where everything stands as one JSON object', async () => {
    const { feed, server } = await served();
    feed.accept(seen({ machine: 'replica/rank 10', kind: 'worker', rank: 10 }));
    feed.accept(seen({ machine: 'replica/rank 9', kind: 'worker', rank: 9 }));
    for (const record of [seen(), ...flapping(1)]) feed.accept(record);
    const response = await get(`${server.url}/status`);
    expect(response.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    const { machines, ...rest } = JSON.parse(await textOf(response));
    expect(machines.map(({ machine }: { machine: string }) => machine)).toEqual([
      MACHINE,
      'replica/rank 9',
      'replica/rank 10',
    ]);
    expect(machines[0]).toMatchObject({ state: 'degraded', atMs: 1 });
    expect(rest).toMatchObject({ product: expect.stringMatching(/^pegaflow-lifecycle \d/), server: null });
  });

  test('is read only', async () => {
    const { server } = await served();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await get(`${server.url}/feed`, { method });
      expect([response.statusCode, response.headers.allow]).toEqual([405, 'GET']);
      response.destroy();
    }
  });

  test.each(['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '%'])(
    'is not for a browser that was led here under the name "%s"',
    async (host) => {
      const { server } = await served();
      const response = await get(`${server.url}/status`, { headers: { host } });
      expect(response.statusCode).toBe(403);
      response.destroy();
    },
  );

  test.each(['localhost', 'localhost:1', '127.0.0.1', '[::1]:1', '10.1.2.3'])(
    'is for a browser that asks by the name "%s"',
    async (host) => {
      const { server } = await served();
      const response = await get(`${server.url}/status`, { headers: { host } });
      expect(response.statusCode).toBe(200);
      response.destroy();
    },
  );

  test('is for a browser that asks by the name it was told to listen on, in whatever case', async () => {
    const { lookup } = dns;
    const resolve = (_: string, ...rest: unknown[]) => Reflect.apply(lookup, dns, ['127.0.0.1', ...rest]);
    vi.spyOn(dns, 'lookup').mockImplementation(resolve as typeof lookup);
    atEnd(() => vi.restoreAllMocks());
    const feed = new ConnectorFeed();
    atEnd(() => feed.close());
    const { port, url } = await feed.listen({ host: 'VM' });
    expect(url).toBe(`http://VM:${port}`);
    for (const host of [`VM:${port}`, 'vm']) {
      const response = await get(`http://127.0.0.1:${port}/status`, { headers: { host } });
      expect(response.statusCode).toBe(200);
      response.destroy();
    }
  });

  test('lets no other site read it, and its page load nothing from elsewhere', async () => {
    const { server } = await served();
    const response = await get(`${server.url}/`, { headers: { origin: 'https://evil.example' } });
    expect(response.headers['access-control-allow-origin']).toBeUndefined();
    expect(response.headers).toMatchObject({
      'content-security-policy': expect.stringMatching(/^default-src 'self';/),
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
    response.destroy();
  });

  test.each([
    ['/', 'text/html; charset=utf-8'],
    ['/page/main.js', 'text/javascript; charset=utf-8'],
    ['/page/page.css', 'text/css; charset=utf-8'],
  ])('serves the page: %s as %s', async (path, contentType) => {
    const { server } = await served();
    const response = await get(`${server.url}${path}`);
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, contentType]);
    expect(await textOf(response)).not.toBe('');
  });

  test.each(['/page/../feed/server.ts', '/page/%2e%2e/index.ts', '/page/.hidden', '/page//etc/passwd', '/nothing'])(
    'serves nothing but the page: not %s',
    async (path) => {
      const { server } = await served();
      const response = await get(server.url, { path });
      expect(response.statusCode).toBe(404);
      response.destroy();
    },
  );

  test('has room for 32 readers, and for the next one when one has gone', async () => {
    const { server } = await served();
    const readers = await Promise.all(Array.from({ length: 32 }, () => readFeed(server.url)));
    const refused = await get(`${server.url}/feed`);
    expect(refused.statusCode).toBe(503);
    refused.destroy();
    readers[0]!.close();
    await eventually('room', async () => {
      const response = await get(`${server.url}/feed`);
      response.destroy();
      return response.statusCode === 200 ? true : null;
    });
  });

  test('drops a reader that takes nothing, and holds nothing up for it', async () => {
    const { feed, server } = await served({ historyLimit: 1_000 });
    const stuck = connect(server.port, '127.0.0.1');
    atEnd(() => stuck.destroy());
    stuck.on('error', () => {});
    stuck.write('GET /feed HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(stuck, 'readable');
    const closed = once(stuck, 'close');
    const reader = await readFeed(server.url);
    const message = 'x'.repeat(20_000);
    for (let atMs = 1; atMs <= 2_000; atMs += 1) {
      feed.accept(transition(atMs, 'connected', 'degraded', { evidence: { kind: 'defect', message } }));
      // Paced by the other reader: it takes everything.
      if (atMs % 100 === 0) await reader.until('each', (record) => record.atMs === atMs);
    }
    stuck.resume();
    await within(20_000, 'the server to drop it', closed);
    expect(reader.records).toHaveLength(2_000);
  });

  test('ends for its readers when it is closed, with the last word told', async () => {
    const { feed, server } = await served();
    const reader = await readFeed(server.url);
    feed.accept(seen());
    await feed.close();
    await within(5_000, 'the end', reader.ended);
    expect(reader.records).toEqual([seen()]);
    await expect(get(server.url)).rejects.toThrow('ECONNREFUSED');
  });

  test('closes also where a reader does not read on', async () => {
    const { feed, server } = await served({ historyLimit: 2_000 });
    const stuck: Socket = connect(server.port, '127.0.0.1');
    stuck.on('error', () => {});
    atEnd(() => stuck.destroy());
    stuck.write('GET /feed HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await once(stuck, 'readable');
    const message = 'x'.repeat(20_000);
    for (let atMs = 1; atMs <= 1_000; atMs += 1) {
      feed.accept(transition(atMs, 'connected', 'degraded', { evidence: { kind: 'defect', message } }));
    }
    await within(10_000, 'it to close', feed.close());
  });

  test('cannot be served at a port in use', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    atEnd(() => holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const feed = new ConnectorFeed();
    await expect(feed.listen({ port })).rejects.toThrow(`127.0.0.1:${port}`);
  });
});
