import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { TORCH_REF_COUNTER_SLOTS, TorchRefCounters } from '../../../native-bindings/index.ts';
import { encodeIpcWrapper } from '../../../src/registration/ipc-wrapper.ts';
import { type CudaTensor, torchWrapperOf } from '../../../src/registration/torch-handle.ts';
import { missing } from '../../support/missing.ts';

const PYTHON = '/usr/bin/python3';
const CONSUMER = fileURLToPath(new URL('./stand_in_consumer.py', import.meta.url));
const reason = missing(PYTHON, existsSync(PYTHON));

const tensor: CudaTensor = {
  deviceIndex: 1,
  deviceUuid: 'a0a1a2a3-a4a5-a6a7-a8a9-aaabacadae01',
  handle: Uint8Array.from({ length: 64 }, (_, i) => i),
  offsetBytes: 2 ** 33,
  sizeBytes: 2 ** 21,
  dtype: 'bfloat16',
  shape: [2, 16, 32],
  stride: [512, 32, 1],
};

const consume = (given: CudaTensor, python = PYTHON, ...args: readonly string[]): Readonly<Record<string, unknown>> => {
  const input = JSON.stringify(Buffer.from(encodeIpcWrapper(torchWrapperOf(given))).toString('base64'));
  return JSON.parse(execFileSync(python, [CONSUMER, ...args], { input, encoding: 'utf8' }));
};

const seen = {
  handle: Buffer.from(tensor.handle).toString('hex'),
  range: [2 ** 33, 2 ** 21],
  isBfloat16: true,
  shape: tensor.shape,
  stride: tensor.stride,
};

const pathOf = (counters: TorchRefCounters): string => `/dev/shm${new TextDecoder().decode(counters.file)}`;

describe('a CUDA tensor of ours and a consumer that follows the rules of torch', { timeout: 60_000 }, () => {
  let counters: TorchRefCounters | undefined;

  afterEach(() => {
    counters?.[Symbol.dispose]();
    counters = undefined;
  });

  test('is opened by its handle, and the counter says when it was let go', ({ skip }) => {
    if (reason) skip(reason);
    counters = TorchRefCounters.create();
    const [first, second] = [counters.take(), counters.take()];
    const shared = { ...tensor, refCounter: { file: counters.file, slot: second } };
    expect(consume(shared)).toEqual({ torch: 'none', ...seen, mustWait: false, foundCounters: true });
    expect([counters.value(first), counters.value(second)]).toEqual([1, 0]);
    expect(consume(shared)['foundCounters']).toBe(true);
    expect([counters.value(first), counters.value(second)]).toEqual([1, -1]);
    expect(existsSync(pathOf(counters))).toBe(true);
  });

  test('needs no counter', ({ skip }) => {
    if (reason) skip(reason);
    expect(consume(tensor)).toEqual({ torch: 'none', ...seen, mustWait: false, foundCounters: false });
  });

  test('says when an event must be waited for', ({ skip }) => {
    if (reason) skip(reason);
    expect(consume({ ...tensor, eventHandle: new Uint8Array(64).fill(7) })['mustWait']).toBe(true);
  });

  test('is unpickled by real torch into its own classes', ({ skip }) => {
    const hasTorch = spawnSync('python3', ['-c', 'import torch']).status === 0;
    if (!hasTorch) skip('python3 has no torch');
    const { torch, ...rest } = consume(tensor, 'python3', 'real');
    expect(rest).toEqual({ ...seen, mustWait: false, foundCounters: false });
    expect(torch).toMatch(/^2\./);
  });
});

describe('the file of reference counters', () => {
  test('is as long as torch maps it, has a name that torch would not take, and vanishes with its owner', () => {
    const counters = TorchRefCounters.create();
    const path = pathOf(counters);
    expect(path).toMatch(/^\/dev\/shm\/torch_\d+_[0-9a-f]{16}_\d+$/);
    expect(existsSync(path)).toBe(true);
    counters[Symbol.dispose]();
    counters[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
  });

  test('has a counter for each wrapper until all are taken, and none that was not', () => {
    const counters = TorchRefCounters.create();
    const slots = Array.from({ length: TORCH_REF_COUNTER_SLOTS }, () => counters.take());
    expect([slots[0], slots.at(-1), counters.value(9_999)]).toEqual([0, 9_999, 1]);
    expect(() => counters.take()).toThrow(/all 10000 counters are taken/);
    for (const slot of [-1, 10_000, 0.5, Number.NaN]) expect(() => counters.value(slot)).toThrow();
    counters[Symbol.dispose]();
  });
});
