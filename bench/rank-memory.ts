import { createEmulatedDriver, type DeviceMemory } from '../native-bindings/index.ts';
import type { KvCacheLayer } from '../src/index.ts';
import { encodeIpcWrapper } from '../src/registration/ipc-wrapper.ts';

const LAYER_NAMES = ['model.layers.0', 'model.layers.1'];

/** Bytes of one block in K or V of one layer: few, as nothing here depends on how long a copy takes. */
const SEGMENT_BYTES = 512;

/** Length of a `cudaIpcEventHandle_t`; all zero where no event has to be waited for. */
const EVENT_HANDLE_SIZE_BYTES = 64;

/** Emulated device memory of the ranks of one instance, a device and two small layers each. Rank is the index. */
export class RankMemory implements Disposable {
  readonly layersOfRank: readonly (readonly KvCacheLayer[])[];
  #allocations: DeviceMemory[] = [];

  constructor(worldSize: number, numBlocks: number) {
    const driver = createEmulatedDriver({ deviceCount: worldSize });
    const regionBytes = numBlocks * SEGMENT_BYTES;
    this.layersOfRank = Array.from({ length: worldSize }, (_, rank) =>
      LAYER_NAMES.map((name) => {
        const memory = driver.allocate(rank, 2 * regionBytes);
        this.#allocations.push(memory);
        const wrapperBytes = encodeIpcWrapper({
          deviceIndex: rank,
          memoryHandle: memory.exportHandle(),
          storageSizeBytes: memory.sizeBytes,
          storageOffsetBytes: 0,
          refCounterFile: new TextEncoder().encode(`/torch_${process.pid}_0`),
          refCounterSlot: 0,
          eventHandle: new Uint8Array(EVENT_HANDLE_SIZE_BYTES),
          eventSyncRequired: false,
          dtype: 'uint8',
          shape: [2, numBlocks, SEGMENT_BYTES],
          stride: [regionBytes, SEGMENT_BYTES, 1],
          deviceUuid: driver.deviceUuid(rank),
        });
        return { name, wrapperBytes, numBlocks, bytesPerBlock: SEGMENT_BYTES, kvStrideBytes: regionBytes, segments: 2 };
      }),
    );
  }

  [Symbol.dispose](): void {
    for (const memory of this.#allocations) memory[Symbol.dispose]();
  }
}
