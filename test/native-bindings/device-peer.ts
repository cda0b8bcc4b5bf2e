/** The other process of the device tests: does what its parent asks and ends with it. Started with the kind of driver to use. */
import { type DeviceBuffer, type DeviceMemory, LoadState } from '../../native-bindings/index.ts';
import { type DriverKind, deviceDrivers } from './device-drivers.ts';
import type { PeerReply, PeerRequest } from './device-peer-protocol.ts';
import { countWrongBytes, writePattern } from './memory-pattern.ts';

const driver = deviceDrivers[process.argv[2] as DriverKind]();
const held = new Map<number, Disposable>();
const buffers = new Map<number, DeviceBuffer>();
const allocations = new Map<number, DeviceMemory>();

const hold = (resource: Disposable): number => {
  held.set(held.size, resource);
  return held.size - 1;
};

const known = <T>(resources: ReadonlyMap<number, T>, id: number): T => {
  const resource = resources.get(id);
  if (resource === undefined) throw new Error(`nothing is held as ${id}`);
  return resource;
};

const answer = (request: PeerRequest): PeerReply => {
  switch (request.call) {
    case 'allocate': {
      const memory = driver.allocate(request.deviceId, request.sizeBytes);
      const id = hold(memory);
      buffers.set(id, memory);
      allocations.set(id, memory);
      return { id };
    }
    case 'exportHandle':
      return { text: Buffer.from(known(allocations, request.id).exportHandle()).toString('hex') };
    case 'openHandle': {
      const memory = driver.openHandle(request.deviceId, Buffer.from(request.handle, 'hex'));
      const id = hold(memory);
      buffers.set(id, memory);
      return { id };
    }
    case 'write':
      known(buffers, request.id).write(request.offset, Buffer.from(request.bytes, 'hex'));
      return {};
    case 'read': {
      const target = Buffer.alloc(request.lengthBytes);
      known(buffers, request.id).read(request.offset, target);
      return { text: target.toString('hex') };
    }
    case 'writePattern':
      writePattern(known(buffers, request.id), request.sizeBytes, request.seed);
      return {};
    case 'countWrongBytes':
      return { count: countWrongBytes(known(buffers, request.id), request.sizeBytes, request.seed) };
    case 'createLoadState': {
      const record = LoadState.create();
      return { id: hold(record), text: record.name };
    }
    case 'attachLoadState':
      return { id: hold(LoadState.attach(request.name)) };
    case 'signalLoadState': {
      const record = LoadState.attach(request.name);
      record.signal(request.outcome);
      record[Symbol.dispose]();
      return {};
    }
    case 'dispose':
      known(held, request.id)[Symbol.dispose]();
      return {};
  }
};

const refusalOf = (error: unknown): PeerReply => {
  if (!(error instanceof Error)) throw error;
  const code = 'code' in error ? String(error.code) : '';
  return { refused: { name: error.name, code, message: error.message } };
};

process.on('message', (request: PeerRequest) => {
  try {
    process.send?.(answer(request));
  } catch (error) {
    process.send?.(refusalOf(error));
  }
});
process.on('disconnect', () => process.exit());
