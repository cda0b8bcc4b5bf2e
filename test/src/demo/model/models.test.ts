import { describe, expect, test } from 'vitest';
import { kvLayout, MODEL_PRESETS, modelPreset } from '../../../../src/demo/model/models.ts';
import { UsageError } from '../../../../src/usage-error.ts';

const GIB = 2 ** 30;

function layoutOf(name: string, ranks: number, deviceMemoryBytes = GIB) {
  return kvLayout({ model: modelPreset(name), ranks, deviceMemoryBytes, maxBlocks: 64 });
}

describe('KV geometry', () => {
  test('a block of each model has the bytes that its configuration gives', () => {
    const bytes = Object.fromEntries(MODEL_PRESETS.map(({ name }) => [name, layoutOf(name, 1).blockBytesPerRank]));
    expect(bytes).toEqual({
      'qwen3-0.6b': 28 * 2 * 16 * 8 * 128 * 2,
      'llama-3.1-8b': 32 * 2 * 16 * 8 * 128 * 2,
      'deepseek-v3': 61 * 16 * 576 * 2,
    });
  });

  test('ranks share the heads, and a block as stored stays as large', () => {
    const [one, four] = [layoutOf('llama-3.1-8b', 1), layoutOf('llama-3.1-8b', 4)];
    expect(four.blockBytesPerRank).toBe(one.blockBytesPerRank / 4);
    expect(four.blockBytesStored).toBe(one.blockBytesStored);
    expect(four.ranks.map(({ effectiveTpRank, effectiveTpSize }) => [effectiveTpRank, effectiveTpSize])).toEqual([
      [0, 4],
      [1, 4],
      [2, 4],
      [3, 4],
    ]);
  });

  test('heads are replicated once there are more ranks than heads', () => {
    expect(layoutOf('qwen3-0.6b', 16).blockBytesPerRank).toBe(layoutOf('qwen3-0.6b', 8).blockBytesPerRank);
  });

  test('ranks of an MLA model share one copy', () => {
    const layout = layoutOf('deepseek-v3', 2);
    expect(layout.ranks.map(({ effectiveTpRank, effectiveTpSize }) => [effectiveTpRank, effectiveTpSize])).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(layout.blockBytesStored).toBe(layout.blockBytesPerRank);
    expect(layout.ranks[0]?.layers[0]).toMatchObject({ segments: 1, bytesPerBlock: 18_432, kvStrideBytes: 0 });
  });

  test('a layer is a region of K blocks and one of V blocks', () => {
    const layer = layoutOf('qwen3-0.6b', 2).ranks[1]?.layers[3];
    expect(layer).toEqual({
      name: 'model.layers.3.self_attn.attn',
      segments: 2,
      bytesPerBlock: 16_384,
      kvStrideBytes: 64 * 16_384,
      numBlocks: 64,
      sizeBytes: 2 * 64 * 16_384,
      shape: [2, 64, 16, 4, 128],
      stride: [64 * 8_192, 8_192, 512, 128, 1],
    });
  });

  test('short memory takes fewer blocks, never smaller ones', () => {
    const full = layoutOf('llama-3.1-8b', 2);
    const short = layoutOf('llama-3.1-8b', 2, full.blockBytesPerRank * 2 * 10 + 1);
    expect(short.numBlocks).toBe(10);
    expect(short.blockBytesPerRank).toBe(full.blockBytesPerRank);
  });

  test('what cannot be laid out is refused with the reason', () => {
    expect(() => layoutOf('llama-3.1-8b', 2, 2 ** 20)).toThrow(/needs \d+ bytes of device memory for 8 blocks/);
    expect(() => layoutOf('qwen3-0.6b', 3)).toThrow('8 KV heads: they cannot be cut over 3 ranks');
    expect(() => modelPreset('gpt-2')).toThrow(UsageError);
  });
});
