import { describe, expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../../native-bindings/emulated-device.ts';
import { hashesOf, TestConnection, TestRank } from '../../../support/engine-rank.ts';
import { ask } from '../../../support/http-reply.ts';
import { boundsOf, seriesOf } from '../../../support/metric-series.ts';
import { own } from '../../../support/own.ts';
import type { ServerProcess } from '../../../support/server-process.ts';

/** The HTTP port of any server that has it. */
export function describeHttpPort(name: string, version: string, start: () => Promise<ServerProcess>): void {
  describe(`the HTTP port of ${name}`, () => {
    const started = async () => own(await start());

    test('a path that there is not is 404 without a type and without a body', async () => {
      const { httpAddress } = await started();
      for (const path of ['/', '/nothing', '/health/', '//']) {
        const reply = { status: 404, headers: { length: '0' }, body: '' };
        expect(await ask(httpAddress, 'GET', path), path).toEqual(reply);
      }
    });

    test('a known path refuses another method with 405 and says which it allows', async () => {
      const { httpAddress } = await started();
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
      const { httpAddress } = await started();
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

    test('/metrics names times in seconds, with the bounds that dashboards know', async () => {
      const engine = await started();
      const { client } = own(new TestConnection(`http://${engine.grpcAddress}`));
      const rank = own(new TestRank(client, createEmulatedDriver()));
      await client.registerContextBatch({ ...rank.registration(), clientVersion: version });
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
      const engine = await started();
      const { client } = own(new TestConnection(`http://${engine.grpcAddress}`));
      const rank = own(new TestRank(client, createEmulatedDriver()));
      await client.registerContextBatch({ ...rank.registration(), clientVersion: version });
      await rank.save([0], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      await client.release({ lease });
      const before = seriesOf((await engine.http('GET', '/metrics')).text);
      expect(before.get('pegaflow_cache_resident_blocks{class="retained"}')).toBe(1);
      const bytesByClass = 'pegaflow_cache_resident_bytes_by_class';
      const isTold = version.startsWith('0.25.');
      expect(before.get(`${bytesByClass}{class="retained"}`)).toBe(isTold ? 2048 : undefined);
      expect(before.get('pegaflow_cache_tier_block_requests_total{tier="ram"}')).toBe(1);
      await engine.unpinned();
      const after = seriesOf((await engine.http('GET', '/metrics')).text);
      for (const name of ['retained', 'reclaimable']) {
        expect(after.get(`pegaflow_cache_resident_blocks{class="${name}"}`)).toBe(0);
        expect(after.get(`${bytesByClass}{class="${name}"}`)).toBe(isTold ? 0 : undefined);
      }
      expect(after.get('pegaflow_cache_eviction_reclaimed_bytes_total')).toBe(2048);
    });
  });
}
