/** The client of each published wheel, in a Python process, at the embedded engine of the same version. */
import { describe, expect, it } from 'vitest';
import { EngineProcess } from '../../support/engine-process.ts';
import { own } from '../../support/own.ts';
import { type ClientRequest, PythonClient } from '../../support/python-client.ts';
import { eventually, within } from '../../support/within.ts';
import { type PublishedVersion, publishedVersions } from '../published-wheels.ts';

const BLOCKS = 16;
const BLOCK_BYTES = 4096;
const LAYER_BYTES = BLOCKS * BLOCK_BYTES;
const LAYERS = ['layer.0', 'layer.1'];
const HASHES = ['aa', 'bb', 'cc', 'dd'].map((byte) => byte.repeat(32));
const OK = [true, ''];

/** The view that vLLM registers of a layer: memory of its own, or an offset in what all layers share. */
interface WrappedLayer {
  readonly memory: string;
  readonly offset?: number;
}

class Worker {
  readonly engine: EngineProcess;
  readonly python: PythonClient;

  static async start(version: PublishedVersion, engine?: EngineProcess): Promise<Worker> {
    const server = engine ?? own(await EngineProcess.start({ version }));
    const worker = new Worker(server, own(await PythonClient.start(version)));
    await worker.connect();
    for (const memory of LAYERS) {
      await worker.value({ op: 'allocate', memory, device: 0, size: LAYER_BYTES, seed: memory });
    }
    return worker;
  }

  private constructor(engine: EngineProcess, python: PythonClient) {
    this.engine = engine;
    this.python = python;
  }

  connect = () => this.value({ op: 'client', endpoint: `http://${this.engine.grpcAddress}` });

  call = (request: ClientRequest) => this.python.call({ client: 'worker', ...request });

  value = <T = unknown>(request: ClientRequest) => this.python.value<T>({ client: 'worker', ...request });

  register = (wrappers: readonly WrappedLayer[] = LAYERS.map((memory) => ({ memory }))): ClientRequest => ({
    op: 'register',
    instance: 'instance',
    namespace: 'namespace',
    tpRank: 0,
    ppRank: 0,
    tpSize: 1,
    worldSize: 1,
    device: 0,
    layers: LAYERS,
    wrappers,
    numBlocks: LAYERS.map(() => BLOCKS),
    bytesPerBlock: LAYERS.map(() => BLOCK_BYTES),
    kvStrideBytes: LAYERS.map(() => 0),
    segments: LAYERS.map(() => 1),
    backend: 'direct',
    pageFirst: false,
  });

  save = (ids: readonly number[], hashes = HASHES.slice(0, ids.length)): ClientRequest => ({
    op: 'save',
    instance: 'instance',
    tpRank: 0,
    ppRank: 0,
    device: 0,
    saves: LAYERS.map((layer) => [layer, ids, hashes]),
  });

  query = (hashes: readonly string[], more: object = {}): ClientRequest => ({
    op: 'query',
    instance: 'instance',
    hashes,
    req: 'request',
    ...more,
  });

  load = (lease: string, targets: readonly (number | null)[], state = 'load'): ClientRequest => ({
    op: 'load',
    instance: 'instance',
    tpRank: 0,
    device: 0,
    groups: [LAYERS],
    loads: [[lease, [targets]]],
    state,
  });

  async saved(ids: readonly number[]): Promise<void> {
    expect(await this.value(this.save(ids))).toEqual(OK);
    const settled = { op: 'settle', instance: 'instance', hashes: HASHES.slice(0, ids.length), req: 'settle' };
    expect(await this.value(settled)).toBe(ids.length);
  }

  stateOf = (state = 'load', timeoutMs = 5000) => this.value({ op: 'state', state, timeoutMs });

  blocksOf = (memory: string) => this.value<readonly string[]>({ op: 'read', memory, pieceSize: BLOCK_BYTES });
}

async function usedBytes(engine: EngineProcess): Promise<number> {
  const { text } = await engine.http('GET', '/metrics');
  return Number(/^pegaflow_pool_used_bytes(?:\{.*\})? (\S+)/m.exec(text)?.[1] ?? 0);
}

describe.each(publishedVersions)('the client of pegaflow-llm %s at the embedded engine', (version) => {
  it('makes every call', async () => {
    const worker = await Worker.start(version);
    const { value } = worker;
    expect(await value({ op: 'endpoint' })).toBe(`http://${worker.engine.grpcAddress}`);
    expect(await value({ op: 'health' })).toEqual(OK);
    expect(await value(worker.register())).toEqual(OK);
    const session = { instance: 'instance', namespace: 'namespace', tpSize: 1, worldSize: 1 };
    expect(await value({ op: 'session', ...session })).toBe(null);
    await worker.saved([1, 2, 3, 4]);
    const ready = { hits: 4, leaseLength: 16, positions: [] };
    expect(await value(worker.query(HASHES, { as: 'lease' }))).toEqual(ready);
    expect(await value(worker.load('$lease', [8, 9, null, 11]))).toEqual(OK);
    expect(await worker.stateOf()).toBe(1);
    for (const layer of LAYERS) {
      const blocks = await worker.blocksOf(layer);
      expect([blocks[8], blocks[9], blocks[11]]).toEqual([blocks[1], blocks[2], blocks[4]]);
      expect(blocks[10]).not.toBe(blocks[3]);
    }
    expect(await value(worker.query(HASHES.slice(2), { as: 'unused' }))).toEqual({ ...ready, hits: 2 });
    expect(await value({ op: 'release', lease: '$unused' })).toBe(null);
    expect(await value({ op: 'unregister', instance: 'instance' })).toEqual(OK);
    await expect(value(worker.query(HASHES))).rejects.toThrow('instance instance not found');
    expect(await value({ op: 'drop' })).toBe(null);
    await worker.connect();
    expect(await value({ op: 'shutdown' })).toEqual(OK);
    await value({ op: 'drop' });
    expect(await within(10_000, 'the engine to drain', worker.engine.exited)).toBe(0);
  });

  it('raises the exception that belongs to the code of a refusal', async () => {
    const worker = await Worker.start(version);
    const { call } = worker;
    const raised = async (request: ClientRequest) => {
      const answer = await call(request);
      return 'error' in answer ? answer.error.class : answer.value;
    };
    expect(await raised(worker.query(HASHES))).toBe('PegaFlowError');
    expect(await raised({ ...worker.query(HASHES), req: '' })).toBe('ValueError');
    expect(await raised({ ...worker.register(), layers: [] })).toBe('ValueError');
    expect(await raised(worker.register())).toEqual(OK);
    expect(await raised(worker.register())).toBe('PegaflowInternal');
    expect(await raised(worker.load('00'.repeat(16), [1]))).toBe('PegaflowInternal');
    expect(await worker.stateOf('load', 0)).toBe(-1);
    expect(await raised({ op: 'release', lease: '00'.repeat(16) })).toBe('PegaFlowError');
  });

  it('is refused by an engine of another version, by the names of both', async () => {
    const engine = own(await EngineProcess.start({ version: '9.9.9' }));
    const worker = await Worker.start(version, engine);
    await expect(worker.value(worker.register())).rejects.toThrow(
      `PegaFlow version mismatch: client=${version} server=9.9.9`,
    );
  });

  it('gets errors and misses of a killed engine, and serves again after it has registered with the next', async () => {
    const worker = await Worker.start(version);
    await worker.value(worker.register());
    await worker.saved([1, 2]);
    await worker.value(worker.query(HASHES.slice(0, 2), { as: 'lease' }));
    await worker.engine.fault({ copyDelayMs: 2_000 });
    const load = await worker.value(worker.load('$lease', [8, 9]));
    expect(load).toEqual(OK);
    const kept = await usedBytes(worker.engine);
    const saving = worker.call(worker.save([3], [HASHES[3]!]));
    await eventually('the Save to have its memory', async () =>
      (await usedBytes(worker.engine)) > kept ? true : null,
    );
    worker.engine.signal('SIGKILL');
    await worker.engine.exited;
    expect(await within(10_000, 'the Save to fail', saving)).toMatchObject({ error: { class: 'PegaFlowError' } });
    expect(await worker.stateOf('load', 100)).toBe(0);
    const missed = await eventually('a query to be a miss', async () => {
      const answer = await worker.call(worker.query(HASHES));
      return 'value' in answer ? answer.value : null;
    });
    expect(missed).toEqual({ hits: 0, leaseLength: 0, positions: [] });
    await expect(worker.value(worker.save([1]))).rejects.toThrow('PegaFlowError');
    await expect(worker.value({ op: 'health' })).rejects.toThrow('PegaFlowError');

    const { grpcAddress } = worker.engine;
    const next = own(await EngineProcess.start({ version, addr: grpcAddress }));
    const unknown = await eventually('the next engine to answer', async () => {
      const answer = await worker.call(worker.query(HASHES));
      return 'error' in answer ? answer.error.text : null;
    });
    expect(unknown).toContain('instance instance not found');
    expect(next.grpcAddress).toBe(grpcAddress);
    expect(await worker.value(worker.register())).toEqual(OK);
    await worker.saved([1, 2]);
    await worker.value(worker.query(HASHES.slice(0, 2), { as: 'again' }));
    expect(await worker.value(worker.load('$again', [12, 13], 'next'))).toEqual(OK);
    expect(await worker.stateOf('next')).toBe(1);
    const blocks = await worker.blocksOf(LAYERS[0]!);
    expect([blocks[12], blocks[13]]).toEqual([blocks[1], blocks[2]]);
  });

  it('waits for a frozen engine, which answers every call when it goes on', async () => {
    const worker = await Worker.start(version);
    await worker.value(worker.register());
    await worker.saved([1, 2]);
    await worker.value(worker.query(HASHES.slice(0, 2), { as: 'lease' }));
    worker.engine.signal('SIGSTOP');
    let answered = 0;
    const calls = [
      worker.query(HASHES.slice(0, 2), { as: 'other' }),
      worker.save([3], [HASHES[2]!]),
      worker.load('$lease', [8, 9]),
      { op: 'health' },
    ].map(async (request) => {
      const answer = await worker.call(request);
      answered += 1;
      return answer;
    });
    // The connector's thread that asks for the state is not held up by those that wait.
    expect(await worker.stateOf('load', 300).catch(() => 0)).toBe(0);
    expect(answered).toBe(0);
    worker.engine.signal('SIGCONT');
    expect(await within(10_000, 'every call to be answered', Promise.all(calls))).toEqual([
      { value: { hits: 2, leaseLength: 16, positions: [] } },
      { value: OK },
      { value: OK },
      { value: OK },
    ]);
    expect(await worker.stateOf()).toBe(1);
    const blocks = await worker.blocksOf(LAYERS[1]!);
    expect([blocks[8], blocks[9]]).toEqual([blocks[1], blocks[2]]);
  });

  it('wraps all layers of one allocation with an offset each, or refuses to', async () => {
    const worker = await Worker.start(version);
    await worker.value({ op: 'allocate', memory: 'all', device: 0, size: 2 * LAYER_BYTES, seed: 'all' });
    const wrappers = LAYERS.map((_, index) => ({ memory: 'all', offset: index * LAYER_BYTES }));
    if (version.startsWith('0.23.')) {
      await expect(worker.value(worker.register(wrappers))).rejects.toThrow('Tensor must have zero storage offset');
      return;
    }
    expect(await worker.value(worker.register(wrappers))).toEqual(OK);
    await worker.saved([1, 2]);
    await worker.value(worker.query(HASHES.slice(0, 2), { as: 'lease' }));
    expect(await worker.value(worker.load('$lease', [14, 15]))).toEqual(OK);
    expect(await worker.stateOf()).toBe(1);
    const blocks = await worker.blocksOf('all');
    expect(new Set(blocks).size).toBe(2 * BLOCKS - 4);
    expect([blocks[14], blocks[15]]).toEqual([blocks[1], blocks[2]]);
    expect([blocks[30], blocks[31]]).toEqual([blocks[17], blocks[18]]);
  });
});
