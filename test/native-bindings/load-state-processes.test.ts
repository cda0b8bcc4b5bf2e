import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LoadState } from '../../native-bindings/index.ts';
import { Peer } from './peer.ts';
import { shmObjects, shmObjectsOf } from './shm-objects.ts';

describe('LoadState between processes', { timeout: 30_000 }, () => {
  let peer: Peer;

  beforeEach(() => {
    peer = new Peer('emulated');
  });

  afterEach(async () => {
    await peer.stop();
    expect([...shmObjectsOf(process.pid), ...shmObjectsOf(peer.pid)]).toEqual([]);
  });

  test('an outcome signalled by another process arrives in the mapping, also after that process was killed', async () => {
    const record = LoadState.create();
    await peer.signalLoadState(record.name, -1);
    await peer.kill();
    expect(record.state()).toBe(-1);
    record[Symbol.dispose]();
  });

  test('a writer that dies before it signals leaves the record pending, for its creator to give up', async () => {
    const record = LoadState.create();
    await peer.attachLoadState(record.name);
    await peer.kill();
    expect(record.state()).toBe(0);
    record[Symbol.dispose]();
    expect(shmObjects()).not.toContain(record.name);
  });

  test('after the creator gave up, another process is refused', async () => {
    const record = LoadState.create();
    record[Symbol.dispose]();
    await expect(peer.signalLoadState(record.name, 1)).rejects.toEqual(
      expect.objectContaining({ name: 'ShmError', code: 'ENOENT' }),
    );
  });
});
