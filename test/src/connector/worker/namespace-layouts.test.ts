import { describe, expect, it } from 'vitest';
import { type KvCacheLayer, WorkerConnector, type WorkerConnectorOptions } from '../../../../src/connector/index.ts';
import { own } from '../../../support/own.ts';

const layer = (name: string, change: Partial<KvCacheLayer> = {}): KvCacheLayer => ({
  name,
  wrapperBytes: new Uint8Array(),
  numBlocks: 8,
  bytesPerBlock: 512,
  kvStrideBytes: 4096,
  segments: 2,
  ...change,
});

describe('layouts of blocks in one namespace', () => {
  let namespaces = 0;
  const shared = { endpoint: 'http://127.0.0.1:9', worldSize: 2, tpRank: 0, tpSize: 2, rank: 0, deviceId: 0 };
  const inNamespace = () => {
    namespaces += 1;
    const namespace = `model-${namespaces}`;
    return (instanceId: string, change: Partial<WorkerConnectorOptions> = {}) => {
      const worker = new WorkerConnector({ ...shared, namespace, instanceId, ...change });
      own({ [Symbol.asyncDispose]: async () => void (await worker.stop()) });
      return worker;
    };
  };
  const layers = [layer('l0'), layer('l1')];

  it('a second one is refused at the call, with both layouts and what to do', () => {
    const worker = inNamespace();
    worker('replica-0').registerKvCaches(layers);
    const larger = [layer('l0', { bytesPerBlock: 1024 }), layer('l1', { bytesPerBlock: 1024 })];
    const second = worker('replica-1');
    expect(() => second.registerKvCaches(larger)).toThrow(
      'holds blocks of another layout: 2 layers of 2 × 512 bytes, tpSize 2 (instance replica-0), and now 2 layers of 2 × 1024 bytes, tpSize 2: give each layout a namespace of its own',
    );
    second.registerKvCaches(layers);
  });

  it('the refusal keeps the password of an endpoint to itself', () => {
    const worker = inNamespace();
    const endpoint = 'http://user:secret@127.0.0.1:9';
    worker('replica-0', { endpoint }).registerKvCaches(layers);
    expect(() => worker('replica-1', { endpoint }).registerKvCaches([layer('l0')])).toThrow(
      /at http:\/\/…@127\.0\.0\.1:9 holds/,
    );
  });

  it.each([
    ['a layer more', [...layers, layer('l2')], {}],
    ['one segment of twice the size', layers.map((one) => ({ ...one, segments: 1, bytesPerBlock: 1024 })), {}],
    ['another storage group', [layer('l0'), layer('l1', { groupId: 1 })], {}],
    ['other sizes in the order of the names', [layer('l0'), layer('l1', { bytesPerBlock: 64 })], {}],
    ['other tensor parallelism', layers, { tpSize: 1 }],
  ] as const)('%s is another layout', (_, others, change) => {
    const worker = inNamespace();
    worker('replica-0').registerKvCaches(layers);
    expect(() => worker('replica-1', change).registerKvCaches(others)).toThrow(
      'give each layout a namespace of its own',
    );
  });

  it('a connector that changes its own layout is refused too', () => {
    const first = inNamespace()('replica-0');
    first.registerKvCaches(layers);
    first.registerKvCaches(layers);
    expect(() => first.registerKvCaches([layer('l0')])).toThrow('another layout');
  });

  it('a claim ends with the stop of the last connector that has it, and not before', async () => {
    const worker = inNamespace();
    const [first, second] = [worker('replica-0'), worker('replica-1')];
    for (const one of [first, first, second]) one.registerKvCaches(layers);
    await first.stop();
    expect(() => worker('replica-2').registerKvCaches([layer('l0')])).toThrow('another layout');
    await second.stop();
    worker('replica-2').registerKvCaches([layer('l0')]);
    expect(() => worker('replica-3').registerKvCaches(layers)).toThrow('another layout');
  });

  it.each(['http://localhost:9/', 'http://127.0.0.1:9', 'http://[::1]:9'])(
    '%s is a server of this host',
    (endpoint) => {
      const worker = inNamespace();
      worker('replica-0', { endpoint: 'http://user:secret@localhost:9' }).registerKvCaches(layers);
      expect(() => worker('replica-1', { endpoint }).registerKvCaches([layer('l0')])).toThrow('another layout');
    },
  );

  it('what does not shape a block makes no difference: names in the same order, how many blocks, where they lie', () => {
    const worker = inNamespace();
    worker('replica-0').registerKvCaches(layers);
    const renamed = [layer('other.1', { kvStrideBytes: 0 }), layer('other.0', { numBlocks: 99 })];
    worker('replica-1').registerKvCaches(renamed);
  });

  it('another namespace, server or place of the rank has a layout of its own', () => {
    const worker = inNamespace();
    worker('replica-0').registerKvCaches(layers);
    inNamespace()('replica-0').registerKvCaches([layer('l0')]);
    worker('replica-0', { endpoint: 'http://127.0.0.1:10' }).registerKvCaches([layer('l0')]);
    worker('replica-0', { ppRank: 1, rank: 1 }).registerKvCaches([layer('l0')]);
    worker('replica-0', { tpRank: 1, rank: 1 }).registerKvCaches([layer('l0')]);
  });
});
