import { create } from '@bufbuild/protobuf';
import { type Epoch, isSameEpoch } from '../../machines/index.ts';
import { ReleaseRequestSchema } from '../../src/gen/pegaflow/engine_pb.ts';
import type { SimulatedServer } from './server.ts';

interface GivenLease {
  readonly epoch: Epoch;
  readonly lease: Uint8Array<ArrayBuffer>;
  readonly atMs: number;
}

/** Every lease that a scheduler was given, by its bytes in hex. */
export class GivenLeases {
  #given = new Map<string, GivenLease>();

  add(lease: Uint8Array, epoch: Epoch, atMs: number): void {
    this.#given.set(nameOf(lease), { epoch, lease: Uint8Array.from(lease), atMs });
  }

  epochOf(lease: Uint8Array): Epoch | undefined {
    return this.#given.get(nameOf(lease))?.epoch;
  }

  /** How many of those given in `epoch` since then the server still holds. It gives them up. */
  takeHeld(server: SimulatedServer, epoch: Epoch, sinceMs: number): number {
    const given = [...this.#given.values()].filter((one) => one.atMs >= sinceMs && isSameEpoch(one.epoch, epoch));
    return given.filter(({ lease }) => isHeld(server, lease)).length;
  }
}

function isHeld({ engine }: SimulatedServer, lease: Uint8Array<ArrayBuffer>): boolean {
  try {
    engine.release(create(ReleaseRequestSchema, { lease }));
    return true;
  } catch {
    return false;
  }
}

const nameOf = (lease: Uint8Array) => Buffer.from(lease).toString('hex');
