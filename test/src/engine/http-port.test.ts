import http from 'node:http';
import { expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { EngineProcess } from '../../support/engine-process.ts';
import { hashesOf, TestConnection, TestRank } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';

interface Reply {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

const startEngine = async (...args: Parameters<typeof EngineProcess.start>) => own(await EngineProcess.start(...args));

const ask = (httpAddress: string, method: string, path: string, sent: http.OutgoingHttpHeaders = {}): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const request = http.request(
      `http://${httpAddress}${path}`,
      { method, agent: false, headers: sent },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const { 'content-type': type, 'content-length': length, allow } = response.headers;
        const headers = {
          ...(type !== undefined && { type }),
          ...(length !== undefined && { length }),
          ...(allow !== undefined && { allow }),
        };
        resolve({ status: response.statusCode, headers, body: Buffer.concat(chunks).toString() });
      },
    );
    request.once('error', reject);
    request.end();
  });

test('a path that there is not is 404 without a type and without a body', async () => {
  const { httpAddress } = await startEngine();
  for (const path of ['/', '/nothing', '/health/', '//']) {
    const reply = { status: 404, headers: { length: '0' }, body: '' };
    expect(await ask(httpAddress, 'GET', path), path).toEqual(reply);
  }
});

test('a known path refuses another method with 405 and says which it allows', async () => {
  const { httpAddress } = await startEngine();
  const refused = [
    ['POST', '/health', 'GET,HEAD'],
    ['OPTIONS', '/health', 'GET,HEAD'],
    ['PUT', '/metrics', 'GET,HEAD'],
    ['DELETE', '/instances', 'GET,HEAD'],
    ['GET', '/instances/cleanup', 'POST'],
    ['HEAD', '/cache/memory/cleanup', 'POST'],
  ] as const;
  for (const [method, path, allow] of refused) {
    const reply = await ask(httpAddress, method, path);
    expect(reply, `${method} ${path}`).toMatchObject({ status: 405, headers: { allow }, body: '' });
    expect(reply.headers).not.toHaveProperty('type');
  }
});

test('answers have a type and a length, and HEAD has them without the body', async () => {
  const { httpAddress } = await startEngine();
  const text = 'text/plain; charset=utf-8';
  expect(await ask(httpAddress, 'GET', '/health')).toEqual({
    status: 200,
    headers: { type: text, length: '2' },
    body: 'ok',
  });
  expect(await ask(httpAddress, 'HEAD', '/health')).toEqual({
    status: 200,
    headers: { type: text, length: '2' },
    body: '',
  });
  expect(await ask(httpAddress, 'HEAD', '/instances')).toEqual({
    status: 200,
    headers: { type: 'application/json', length: '16' },
    body: '',
  });
  const metrics = await ask(httpAddress, 'HEAD', '/metrics');
  expect(metrics).toMatchObject({ status: 200, headers: { type: text }, body: '' });
  expect(Number(metrics.headers['length'])).toBeGreaterThan(0);
  expect(await ask(httpAddress, 'POST', '/instances/cleanup?id=')).toEqual({
    status: 404,
    headers: { type: text, length: '19' },
    body: 'instance  not found',
  });
});

test.each([
  ['a page of another site', { origin: 'http://evil.example' }],
  ['a page at another port of this host', { origin: 'http://127.0.0.1:8000' }],
  ['a page whose name was made to point here', { host: 'evil.example', origin: 'http://evil.example' }],
  ['a page in a sandboxed frame', { origin: 'null' }],
])('%s changes nothing', async (_, headers) => {
  const { httpAddress } = await startEngine();
  for (const [method, path] of [
    ['POST', '/instances/cleanup'],
    ['POST', '/cache/memory/cleanup'],
    ['POST', '/faults'],
    ['DELETE', '/faults'],
  ] as const) {
    const { status, body } = await ask(httpAddress, method, path, headers);
    expect([status, body], path).toEqual([403, expect.stringMatching(/^(this is not its name|not for the pages)/)]);
  }
  expect(await ask(httpAddress, 'GET', '/health', headers)).toMatchObject({ status: 200 });
});

test('whoever is no browser changes things by an address, by localhost and by the name it listens on', async () => {
  const { httpAddress } = await startEngine();
  const [, port] = httpAddress.split(':');
  for (const host of [httpAddress, '127.0.0.1', `localhost:${port}`, `10.1.2.3:${port}`, `[::1]:${port}`]) {
    expect(await ask(httpAddress, 'POST', '/instances/cleanup', { host }), host).toMatchObject({ status: 200 });
  }
});

/** Names, labels and bounds as Prometheus reads them. */
const seriesOf = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [, name, labels = '', value] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
        const kept = labels.split(/,(?=\w+=")/).filter((label) => label !== '' && !label.startsWith('otel_scope'));
        return [kept.length === 0 ? `${name}` : `${name}{${kept.join(',')}}`, Number(value)];
      }),
  );

const boundsOf = (series: ReadonlyMap<string, number>, histogram: string): number[] => {
  const bounds = [...series.keys()]
    .filter((name) => name.startsWith(`${histogram}_bucket{`))
    .map((name) => Number(/le="([^"]+)"/.exec(name)?.[1]))
    .filter(Number.isFinite);
  return [...new Set(bounds)];
};

test('/metrics names times in seconds, with the bounds that dashboards know', async () => {
  const engine = await startEngine({ version: '0.25.1' });
  const { client } = own(new TestConnection(`http://${engine.grpcAddress}`));
  const rank = own(new TestRank(client, createEmulatedDriver()));
  await client.registerContextBatch({ ...rank.registration(), clientVersion: '0.25.1' });
  await rank.save([0], hashesOf(1));
  const { lease } = await rank.visible(hashesOf(1));
  expect(await (await rank.load(lease, [1])).end()).toBe(1);
  await engine.http('POST', '/cache/memory/cleanup');
  const { text } = await engine.http('GET', '/metrics');
  const series = seriesOf(text);
  const transferBounds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60];
  expect({
    rpc: boundsOf(series, 'pegaflow_rpc_duration_seconds'),
    save: boundsOf(series, 'pegaflow_save_duration_seconds'),
    load: boundsOf(series, 'pegaflow_load_duration_seconds'),
    residence: boundsOf(series, 'pegaflow_cache_residence_duration_seconds'),
  }).toEqual({
    rpc: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2],
    save: transferBounds,
    load: transferBounds,
    residence: [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400],
  });
  expect(text).not.toContain('# UNIT');
  expect(series.get('pegaflow_cache_residence_duration_seconds_count{reason="cleanup"}')).toBe(1);
});

test('/metrics counts queried blocks by tier, what evictions gave back, and what is resident by class', async () => {
  const engine = await startEngine({ version: '0.25.1' });
  const { client } = own(new TestConnection(`http://${engine.grpcAddress}`));
  const rank = own(new TestRank(client, createEmulatedDriver()));
  await client.registerContextBatch({ ...rank.registration(), clientVersion: '0.25.1' });
  await rank.save([0], hashesOf(1));
  const { lease } = await rank.visible(hashesOf(1));
  await client.release({ lease });
  const before = seriesOf((await engine.http('GET', '/metrics')).text);
  expect(before.get('pegaflow_cache_resident_blocks{class="retained"}')).toBe(1);
  expect(before.get('pegaflow_cache_resident_blocks{class="reclaimable"}')).toBe(0);
  expect(before.get('pegaflow_cache_resident_bytes_by_class{class="retained"}')).toBe(2048);
  expect(before.get('pegaflow_cache_resident_bytes_by_class{class="reclaimable"}')).toBe(0);
  expect(before.get('pegaflow_cache_tier_block_requests_total{tier="ram"}')).toBe(1);
  await engine.unpinned();
  const after = seriesOf((await engine.http('GET', '/metrics')).text);
  expect(after.get('pegaflow_cache_resident_bytes_by_class{class="retained"}')).toBe(0);
  expect(after.get('pegaflow_cache_eviction_reclaimed_bytes_total')).toBe(2048);
});

test('a server before 0.25 does not tell resident bytes by class', async () => {
  const engine = await startEngine({ version: '0.24.6' });
  const series = seriesOf((await engine.http('GET', '/metrics')).text);
  expect(series.get('pegaflow_cache_resident_blocks{class="retained"}')).toBe(0);
  expect(series.has('pegaflow_cache_resident_bytes_by_class{class="retained"}')).toBe(false);
});
