/** One rank's KV cache in device memory: one allocation per layer, filled, poisoned and verified block by block. */
import type { DeviceDriver, DeviceMemory } from '../../../native-bindings/index.ts';
import type { KvCacheLayer } from '../../connector/index.ts';
import { encodeIpcWrapper } from '../../registration/ipc-wrapper.ts';
import { bytesOf, type ContentSeed, contentSeed, countWrongBytes, fillContent, POISON_BYTE } from './content.ts';
import type { KvLayerLayout, RankLayout } from './models.ts';

/** Length of a `cudaIpcEventHandle_t`; all zero where no event has to be waited for. */
const EVENT_HANDLE_SIZE_BYTES = 64;

/** Owns the device memory of a rank until it is disposed. */
export class KvMemory implements Disposable {
  readonly #driver: DeviceDriver;
  readonly #namespace: string;
  readonly #rank: RankLayout;
  readonly #layers: readonly { readonly layout: KvLayerLayout; readonly memory: DeviceMemory }[];
  readonly #words: Uint32Array;
  readonly #expected: Uint32Array;
  readonly #poison: Uint8Array;

  constructor(driver: DeviceDriver, namespace: string, rank: RankLayout) {
    this.#driver = driver;
    this.#namespace = namespace;
    this.#rank = rank;
    this.#layers = rank.layers.map((layout) => ({ layout, memory: driver.allocate(rank.rank, layout.sizeBytes) }));
    const segmentBytes = Math.max(...rank.layers.map(({ bytesPerBlock }) => bytesPerBlock));
    this.#words = new Uint32Array(segmentBytes / Uint32Array.BYTES_PER_ELEMENT);
    this.#expected = new Uint32Array(this.#words.length);
    this.#poison = new Uint8Array(segmentBytes).fill(POISON_BYTE);
  }

  /** Bytes of one block on this rank, over all layers and segments. */
  get blockBytes(): number {
    return this.#layers.reduce((sum, { layout }) => sum + layout.bytesPerBlock * layout.segments, 0);
  }

  /** What the worker registers, with the wrapper of each layer's tensor. */
  registration(): KvCacheLayer[] {
    return this.#layers.map(({ layout, memory }) => ({
      name: layout.name,
      wrapperBytes: encodeIpcWrapper({
        deviceIndex: this.#rank.rank,
        memoryHandle: memory.exportHandle(),
        storageSizeBytes: layout.sizeBytes,
        storageOffsetBytes: 0,
        refCounterFile: new TextEncoder().encode(`/torch_${process.pid}_0`),
        refCounterSlot: 0,
        eventHandle: new Uint8Array(EVENT_HANDLE_SIZE_BYTES),
        eventSyncRequired: false,
        dtype: 'bfloat16',
        shape: layout.shape,
        stride: layout.stride,
        deviceUuid: this.#driver.deviceUuid(this.#rank.rank),
      }),
      numBlocks: layout.numBlocks,
      bytesPerBlock: layout.bytesPerBlock,
      kvStrideBytes: layout.kvStrideBytes,
      segments: layout.segments,
    }));
  }

  /** Writes what the model would compute for this block. */
  fill(blockId: number, blockHash: Uint8Array): void {
    this.#eachSegment(blockId, (memory, offset, layout, segment) => {
      const words = this.#words.subarray(0, layout.bytesPerBlock / Uint32Array.BYTES_PER_ELEMENT);
      fillContent(words, this.#seed(blockHash, layout, segment));
      memory.write(offset, bytesOf(words));
    });
  }

  /** Makes sure that nothing the block held before can pass for what is loaded into it. */
  poison(blockId: number): void {
    this.#eachSegment(blockId, (memory, offset, layout) => {
      memory.write(offset, this.#poison.subarray(0, layout.bytesPerBlock));
    });
  }

  /** How many bytes of the block are not what the model would have computed. */
  countWrongBytes(blockId: number, blockHash: Uint8Array): number {
    let wrong = 0;
    this.#eachSegment(blockId, (memory, offset, layout, segment) => {
      const words = this.#words.subarray(0, layout.bytesPerBlock / Uint32Array.BYTES_PER_ELEMENT);
      memory.read(offset, bytesOf(words));
      wrong += countWrongBytes(words, this.#seed(blockHash, layout, segment), this.#expected.subarray(0, words.length));
    });
    return wrong;
  }

  [Symbol.dispose](): void {
    for (const { memory } of this.#layers) memory[Symbol.dispose]();
  }

  #seed(blockHash: Uint8Array, layout: KvLayerLayout, segment: number): ContentSeed {
    return contentSeed({
      namespace: this.#namespace,
      blockHash,
      effectiveTpRank: this.#rank.effectiveTpRank,
      layerName: layout.name,
      segment,
    });
  }

  #eachSegment(
    blockId: number,
    visit: (memory: DeviceMemory, offset: number, layout: KvLayerLayout, segment: number) => void,
  ): void {
    for (const { layout, memory } of this.#layers) {
      for (let segment = 0; segment < layout.segments; segment += 1) {
        visit(memory, segment * layout.kvStrideBytes + blockId * layout.bytesPerBlock, layout, segment);
      }
    }
  }
}
