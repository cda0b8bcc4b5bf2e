import { describe, expect, test } from 'vitest';
import type { QueryOutcome } from '../../../../src/connector/index.ts';
import { BlockPool } from '../../../../src/demo/hosts/block-pool.ts';
import type { BlockContents } from '../../../../src/demo/hosts/messages.ts';
import { type Serving, serveRequest } from '../../../../src/demo/hosts/serve-request.ts';

const blockHashes = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
const request = { requestId: 'r', blockHashes };
const positionsOf = (contents: BlockContents) => contents.blockHashes.map((hash) => (hash[0] ?? 0) - 1);

interface Script {
  readonly outcomes: readonly QueryOutcome[];
  readonly load?: Promise<boolean> | null;
  readonly freed?: Promise<void> | null;
  readonly pool?: BlockPool;
}

/** A connector and workers that answer as told, and what they were asked. */
function scripted({ outcomes, load = null, freed = null, pool = new BlockPool(4) }: Script) {
  const answers = [...outcomes];
  const asked: string[] = [];
  const told: string[] = [];
  const serving: Serving = {
    pool,
    query: async () => answers.shift() ?? { kind: 'miss', reason: 'notCached' },
    releaseHit: () => asked.push('release'),
    load: (contents) => {
      asked.push(`load ${positionsOf(contents)}`);
      return load;
    },
    computeAndSave: async (contents) => {
      asked.push(`compute ${positionsOf(contents)}`);
    },
    decode: async () => {},
    finish: () => {
      asked.push('finish');
      return freed;
    },
    record: ({ type }) => told.push(type),
  };
  return { serving, asked, told };
}

describe('serving a request', () => {
  test('a hit is loaded and only the rest computed', async () => {
    const { serving, asked } = scripted({ outcomes: [{ kind: 'hit', blocks: 2 }], load: Promise.resolve(true) });
    await serveRequest(request, serving);
    expect(asked).toEqual(['load 0,1', 'compute 2', 'finish']);
  });

  test('a full hit is not computed at all', async () => {
    const { serving, asked } = scripted({ outcomes: [{ kind: 'hit', blocks: 3 }], load: Promise.resolve(true) });
    await serveRequest(request, serving);
    expect(asked).toEqual(['load 0,1,2', 'finish']);
  });

  test.each<[string, Promise<boolean> | null]>([
    ['failed', Promise.resolve(false)],
    ['was no longer valid', null],
  ])('a load that %s is computed whole', async (_, load) => {
    const { serving, asked } = scripted({ outcomes: [{ kind: 'hit', blocks: 2 }], load });
    await serveRequest(request, serving);
    expect(asked).toEqual(['load 0,1', 'compute 0,1,2', 'finish']);
  });

  test('a query that is still loading is asked again', async () => {
    const { serving, asked } = scripted({ outcomes: [{ kind: 'loading' }, { kind: 'miss', reason: 'failed' }] });
    await serveRequest(request, serving);
    expect(asked).toEqual(['compute 0,1,2', 'finish']);
  });

  test('a hit without blocks for it is given up, and asked for again once there are', async () => {
    const pool = new BlockPool(3);
    const taken = pool.take(1) ?? [];
    const hit: QueryOutcome = { kind: 'hit', blocks: 1 };
    const { serving, asked } = scripted({ outcomes: [hit, hit], load: Promise.resolve(true), pool });
    const served = serveRequest(request, serving);
    await expect.poll(() => asked).toEqual(['release']);
    pool.give(taken);
    await served;
    expect(asked).toEqual(['release', 'load 0', 'compute 1,2', 'finish']);
  });

  test('its blocks are free only when nothing touches them any more', async () => {
    const freed = Promise.withResolvers<void>();
    const { serving, told } = scripted({ outcomes: [], freed: freed.promise });
    const served = serveRequest(request, serving);
    await expect.poll(() => told).toContain('request.finished');
    expect(serving.pool.take(4)).toBeNull();
    freed.resolve();
    await served;
    expect(serving.pool.take(4)).toHaveLength(4);
  });
});
