import { describe, expect, it } from 'vitest';
import { type ShardLayoutOptions, shardLayout, shardOfRank } from '../../../../src/connector/index.ts';

const endpoints = ['http://a:1', 'http://b:1', 'http://c:1', 'http://d:1'];
const options: ShardLayoutOptions = { endpoints, namespace: 'model', worldSize: 8, tpSize: 8 };

describe('shardLayout', () => {
  it('gives every server an equal, contiguous range of ranks and a namespace of its own', () => {
    expect(shardLayout({ ...options, endpoints: endpoints.slice(0, 2) })).toEqual([
      { shard: 0, endpoint: 'http://a:1', namespace: 'model:tp-shard-0-of-2', worldSize: 4, tpSize: 4 },
      { shard: 1, endpoint: 'http://b:1', namespace: 'model:tp-shard-1-of-2', worldSize: 4, tpSize: 4 },
    ]);
    const places = Array.from({ length: 8 }, (_, rank) => shardOfRank(shardLayout(options), rank));
    expect(places.map(({ shard }) => shard)).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(places.map(({ rank }) => rank)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(places.map(({ tpRank }) => tpRank)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(places[5]).toMatchObject({ endpoint: 'http://c:1', namespace: 'model:tp-shard-2-of-4', worldSize: 2 });
  });

  it('changes nothing where there is one server', () => {
    const layout = shardLayout({ ...options, endpoints: ['http://a:1'], tpSize: 4 });
    expect(layout).toEqual([{ shard: 0, endpoint: 'http://a:1', namespace: 'model', worldSize: 8, tpSize: 4 }]);
    expect(shardOfRank(layout, 5)).toMatchObject({ rank: 5, tpRank: 1 });
  });

  it('keeps one copy on every server where MLA ranks share one', () => {
    const layout = shardLayout({ ...options, tpSize: 1 });
    expect(layout.map(({ worldSize, tpSize }) => [worldSize, tpSize])).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
      [2, 1],
    ]);
    expect(shardOfRank(layout, 7)).toMatchObject({ shard: 3, rank: 1, tpRank: 0 });
  });

  it.each([
    [{ endpoints: [] }, 'endpoints must name at least one server'],
    [{ endpoints: ['http://a:1', ''] }, 'endpoints[1] must not be empty'],
    [{ endpoints: ['http://a:1', 'http://a:1/'] }, 'endpoints must differ: http://a:1/ is named twice'],
    [{ worldSize: 6, tpSize: 6 }, 'worldSize 6 must be a multiple of the number of endpoints, which is 4'],
    [{ tpSize: 4 }, 'tpSize must be worldSize (8), or 1 with MLA, not 4'],
  ])('refuses %j', (change, message) => {
    expect(() => shardLayout({ ...options, ...change })).toThrow(message);
  });

  it.each([-1, 8, 1.5])('has no place for rank %s of 8', (rank) => {
    expect(() => shardOfRank(shardLayout(options), rank)).toThrow(`rank ${rank} is not one of 8 ranks`);
  });
});
