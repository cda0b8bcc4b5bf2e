import { afterEach, describe, expect, test } from 'vitest';
import { createEmulatedDriver, sweepSharedMemory } from '../../native-bindings/index.ts';
import { describeDeviceDriver } from './device-driver-contract.ts';
import { deviceDrivers } from './device-drivers.ts';
import { Peer } from './peer.ts';
import { shmObjectsOf } from './shm-objects.ts';

describeDeviceDriver('emulated', deviceDrivers.emulated);

describe('emulated devices', { timeout: 30_000 }, () => {
  const driver = createEmulatedDriver({ deviceCount: 2 });
  let peers: Peer[] = [];

  const startPeer = (): Peer => {
    const peer = new Peer('emulated');
    peers.push(peer);
    return peer;
  };

  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    expect([process.pid, ...peers.map(({ pid }) => pid)].flatMap(shmObjectsOf)).toEqual([]);
    peers = [];
  });

  test('there are eight of them unless told otherwise', () => {
    expect([createEmulatedDriver().deviceCount(), driver.deviceCount()]).toEqual([8, 2]);
    expect(driver.deviceUuid(1)).toBe('00000000-0000-4000-8000-000000000001');
  });

  test.each([0, -1, 1.5, Number.NaN])('there cannot be %d of them', (deviceCount) => {
    expect(() => createEmulatedDriver({ deviceCount })).toThrow(RangeError);
  });

  test('memory of one device cannot be opened on another', async () => {
    const peer = startPeer();
    const { handle } = await peer.allocate(1, 16);
    expect(() => driver.openHandle(0, handle)).toThrow(
      expect.objectContaining({ name: 'DeviceError', code: 'cudaErrorPeerAccessUnsupported' }),
    );
    driver.openHandle(1, handle)[Symbol.dispose]();
  });

  test('mapped memory outlives its being freed, with its bytes', async () => {
    const peer = startPeer();
    const { id, handle } = await peer.allocate(0, 16);
    await peer.write(id, 0, new Uint8Array(16).fill(7));
    const mapped = driver.openHandle(0, handle);
    await peer.dispose(id);
    const bytes = new Uint8Array(16);
    mapped.read(0, bytes);
    expect(bytes).toEqual(new Uint8Array(16).fill(7));
    mapped[Symbol.dispose]();
  });

  test('mapped memory outlives a killed exporter, whose handle is refused from then on', async () => {
    const peer = startPeer();
    const { id, handle } = await peer.allocate(0, 16);
    await peer.write(id, 0, new Uint8Array(16).fill(7));
    const mapped = driver.openHandle(0, handle);
    await peer.kill();
    const bytes = new Uint8Array(16);
    mapped.read(0, bytes);
    expect(bytes).toEqual(new Uint8Array(16).fill(7));
    mapped[Symbol.dispose]();

    expect(() => driver.openHandle(0, handle)).toThrow(/the process that exported the memory has ended/);
    sweepSharedMemory();
  });

  test('a process that ends without freeing leaves nothing behind', async () => {
    const peer = startPeer();
    await peer.allocate(0, 16);
    await peer.stop();
    expect(shmObjectsOf(peer.pid)).toEqual([]);
  });

  test('a handle with anything in its unused bytes is refused', async () => {
    const peer = startPeer();
    const { handle } = await peer.allocate(0, 16);
    handle[63] = 1;
    expect(() => driver.openHandle(0, handle)).toThrow(/not a handle of emulated device memory/);
  });

  test('a handle that claims more than its memory has is refused', async () => {
    const peer = startPeer();
    const { handle } = await peer.allocate(0, 16);
    new DataView(handle.buffer).setBigUint64(16, 17n, true);
    expect(() => driver.openHandle(0, handle)).toThrow(
      expect.objectContaining({ name: 'DeviceError', code: 'cudaErrorInvalidResourceHandle' }),
    );
  });
});
