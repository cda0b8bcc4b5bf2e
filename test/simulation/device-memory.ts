import type { Tensor } from '../../src/engine/registration/tensor-registry.ts';
import { decodeIpcWrapper, encodeIpcWrapper } from '../../src/registration/ipc-wrapper.ts';
import type { SimulatedProcess } from './event-loop.ts';
import type { Kernel } from './kernel.ts';

/** Told of every block of a rank that a server's copy reads or writes. */
export type TouchListener = (touch: 'read' | 'write', blockId: number, rank: number, server: SimulatedProcess) => void;

/** One layer of one rank's KV memory, with its real bytes. */
export class DeviceMemory {
  readonly id: number;
  readonly deviceId: number;
  readonly bytes: Buffer;
  readonly blockBytes: number;
  readonly owner: SimulatedProcess;
  readonly onTouch: TouchListener;
  /** Its owner uses other memory now. */
  isLeft = false;
  readonly #mappings = new Set<{ readonly server: SimulatedProcess }>();

  constructor(kernel: Kernel, deviceId: number, blocks: number, blockBytes: number, onTouch: TouchListener) {
    this.id = kernel.deviceMemories.size + 1;
    this.deviceId = deviceId;
    this.blockBytes = blockBytes;
    this.bytes = Buffer.alloc(blocks * blockBytes);
    this.owner = kernel.loop.current;
    this.onTouch = onTouch;
    kernel.deviceMemories.set(this.id, this);
  }

  /** Servers that have it mapped, of which one may have it twice: for a registration that it drops and for the next one. */
  get mappedBy(): ReadonlySet<SimulatedProcess> {
    return new Set([...this.#mappings].map(({ server }) => server));
  }

  /** Call what is returned when the mapping ends. */
  map(server: SimulatedProcess): () => void {
    const mapping = { server };
    this.#mappings.add(mapping);
    return () => this.#mappings.delete(mapping);
  }

  /** As torch would share it; the handle is the memory's number. */
  get wrapperBytes(): Uint8Array<ArrayBuffer> {
    const memoryHandle = Buffer.alloc(64);
    memoryHandle.writeUInt32BE(this.id);
    return Uint8Array.from(
      encodeIpcWrapper({
        deviceIndex: this.deviceId,
        memoryHandle,
        storageSizeBytes: this.bytes.length,
        storageOffsetBytes: 0,
        refCounterFile: new Uint8Array(),
        refCounterSlot: 0,
        eventHandle: new Uint8Array(64),
        eventSyncRequired: false,
        dtype: 'uint8',
        shape: [this.bytes.length],
        stride: [1],
        deviceUuid: '00000000-0000-0000-0000-000000000000',
      }),
    );
  }

  get isFreed(): boolean {
    return this.owner.isDead;
  }

  block(blockId: number): Buffer {
    return this.bytes.subarray(blockId * this.blockBytes, (blockId + 1) * this.blockBytes);
  }
}

/** How a server's copies fail. */
export interface CopyTrouble {
  /** Copies to a device that are still to fail; the bytes of the failed one land late. */
  failingWrites: number;
}

/** Landing of what was queued before a copy failed, in milliseconds: below the settling time of 250. */
const LATE_LANDING_MS = { from: 5, to: 200 };

/** Maps memory into a server: what `cudaIpcOpenMemHandle` does. */
export function openTensor(
  kernel: Kernel,
  server: SimulatedProcess,
  trouble: CopyTrouble,
  wrapper: Uint8Array,
): Tensor {
  const { memoryHandle } = decodeIpcWrapper(wrapper);
  const memory = kernel.deviceMemories.get(Buffer.from(memoryHandle).readUInt32BE());
  if (memory === undefined || memory.isFreed) throw new Error('the memory has been freed');
  let isMapped = true;
  const unmap = memory.map(server);
  const range = (call: string, offset: number, length: number) => {
    // Mapped again, it is where it was: nothing promises another address.
    if (!isMapped && !memory.mappedBy.has(server)) throw new Error(`${call} failed: CUDA_ERROR_ILLEGAL_ADDRESS`);
    return memory.bytes.subarray(offset, offset + length);
  };
  const touch = (kind: 'read' | 'write', offset: number) => {
    if (!memory.isFreed && !memory.isLeft)
      memory.onTouch(kind, Math.floor(offset / memory.blockBytes), memory.deviceId, server);
  };
  const land = (offset: number, source: Uint8Array) => {
    touch('write', offset);
    memory.bytes.set(source, offset);
  };
  const mapped = {
    deviceId: memory.deviceId,
    sizeBytes: memory.bytes.length,
    read: (offset: number, target: Uint8Array) => {
      const bytes = range('cuMemcpyDtoHAsync', offset, target.length);
      touch('read', offset);
      target.set(bytes);
    },
    write: (offset: number, source: Uint8Array) => {
      range('cuMemcpyHtoDAsync', offset, source.length);
      if (trouble.failingWrites > 0) {
        trouble.failingWrites -= 1;
        const late = Uint8Array.from(source);
        const delayMs = kernel.random.between(LATE_LANDING_MS.from, LATE_LANDING_MS.to);
        // A device goes on with what is queued while its process stands still, but not beyond its end.
        kernel.loop.schedule(kernel.device, delayMs, 'io', () => server.isDead || land(offset, late));
        throw new Error('the copy failed');
      }
      land(offset, source);
    },
    [Symbol.dispose]: () => {
      isMapped = false;
      unmap();
    },
  };
  return { memory: mapped, offsetBytes: 0, sizeBytes: memory.bytes.length, deviceIndex: memory.deviceId };
}
