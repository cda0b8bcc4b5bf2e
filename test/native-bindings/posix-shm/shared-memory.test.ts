import { readFileSync, statSync, truncateSync, unlinkSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { SharedMemory } from '../../../native-bindings/index.ts';
import { shmObjects, shmObjectsOf, testObjectName } from '../shm-objects.ts';

afterEach(() => {
  expect(shmObjectsOf(process.pid)).toEqual([]);
});

const bytesOf = (memory: SharedMemory, offset: number, lengthBytes: number): Uint8Array => {
  const target = new Uint8Array(lengthBytes);
  memory.read(offset, target);
  return target;
};

describe('SharedMemory', () => {
  test('an object appears in /dev/shm with its size, readable and writable by its owner only', () => {
    const name = testObjectName();
    const memory = SharedMemory.create(name, 5000);
    const stats = statSync(`/dev/shm/${name}`);
    expect({ size: stats.size, mode: stats.mode & 0o777 }).toEqual({ size: 5000, mode: 0o600 });
    memory[Symbol.dispose]();
  });

  test('its memory is taken at once, so that a later write cannot run out of it', () => {
    const name = testObjectName();
    const memory = SharedMemory.create(name, 5 * 1024 * 1024);
    expect(statSync(`/dev/shm/${name}`).blocks * 512).toBe(5 * 1024 * 1024);
    memory[Symbol.dispose]();
  });

  test('bytes written through one mapping are read through another and through the file', () => {
    const memory = SharedMemory.create(testObjectName(), 100);
    const other = SharedMemory.open(memory.name);
    memory.write(7, Uint8Array.of(1, 2, 3));
    other.write(97, Uint8Array.of(4, 5, 6));
    expect(other.sizeBytes).toBe(100);
    expect(bytesOf(other, 6, 5)).toEqual(Uint8Array.of(0, 1, 2, 3, 0));
    expect([...readFileSync(`/dev/shm/${memory.name}`).subarray(96)]).toEqual([0, 4, 5, 6]);
    other[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test('an 8-byte word is stored and loaded with its sign', () => {
    const memory = SharedMemory.create(testObjectName(), 24);
    memory.storeInt64(16, -1n);
    expect([memory.loadInt64(8), memory.loadInt64(16)]).toEqual([0n, -1n]);
    expect(bytesOf(memory, 16, 8)).toEqual(new Uint8Array(8).fill(0xff));
    memory[Symbol.dispose]();
  });

  test('whoever opened an object leaves it in place, and the owner takes it away', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    const other = SharedMemory.open(memory.name);
    other[Symbol.dispose]();
    expect(shmObjects()).toContain(memory.name);
    memory[Symbol.dispose]();
    expect(shmObjects()).not.toContain(memory.name);
  });

  test('after unlinking, both mappings still work and nobody else can open the object', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    const other = SharedMemory.open(memory.name);
    memory.unlink();
    memory.unlink();
    expect(() => SharedMemory.open(memory.name)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    other.write(0, Uint8Array.of(9));
    expect(bytesOf(memory, 0, 1)).toEqual(Uint8Array.of(9));
    other[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test('only the owner may unlink', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    const other = SharedMemory.open(memory.name);
    expect(() => other.unlink()).toThrow(expect.objectContaining({ name: 'ShmError', code: 'EPERM' }));
    other[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test('disposing twice is once', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    memory[Symbol.dispose]();
    const successor = SharedMemory.create(memory.name, 16);
    memory[Symbol.dispose]();
    expect(shmObjects()).toContain(successor.name);
    successor[Symbol.dispose]();
  });

  test('every use after dispose is an error of ours', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    memory[Symbol.dispose]();
    const disposed = expect.objectContaining({ name: 'ShmError', code: 'EBADF' });
    expect(() => memory.read(0, new Uint8Array(1))).toThrow(disposed);
    expect(() => memory.write(0, new Uint8Array(1))).toThrow(disposed);
    expect(() => memory.loadInt64(0)).toThrow(disposed);
    expect(() => memory.storeInt64(0, 1n)).toThrow(disposed);
  });

  test.each([
    ['before the start', -1, 1],
    ['past the end', 16, 5],
    ['with a fraction', 0.5, 1],
    ['without a number', Number.NaN, 1],
  ])('a range %s is refused', (_, offset, lengthBytes) => {
    const memory = SharedMemory.create(testObjectName(), 20);
    const refused = expect.objectContaining({ name: 'ShmError', code: 'EINVAL' });
    expect(() => memory.read(offset, new Uint8Array(lengthBytes))).toThrow(refused);
    expect(() => memory.write(offset, new Uint8Array(lengthBytes))).toThrow(refused);
    memory[Symbol.dispose]();
  });

  test.each([-8, 4, 16, 24, 0.5])('a word at offset %d of 20 bytes is refused', (offset) => {
    const memory = SharedMemory.create(testObjectName(), 20);
    const refused = expect.objectContaining({ name: 'ShmError', code: 'EINVAL' });
    expect(() => memory.loadInt64(offset)).toThrow(refused);
    expect(() => memory.storeInt64(offset, 1n)).toThrow(refused);
    memory[Symbol.dispose]();
  });

  test('a name in use is refused and its object is left alone', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    expect(() => SharedMemory.create(memory.name, 16)).toThrow(
      expect.objectContaining({ name: 'ShmError', code: 'EEXIST', syscall: 'shm_open' }),
    );
    expect(shmObjects()).toContain(memory.name);
    memory[Symbol.dispose]();
  });

  test('more memory than there is fails and leaves nothing behind', () => {
    const sizeBytes = 2 ** 45;
    expect(() => SharedMemory.create(testObjectName(), sizeBytes)).toThrow(
      expect.objectContaining({ name: 'ShmError', code: 'ENOSPC' }),
    );
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53])('a size of %d bytes is refused', (sizeBytes) => {
    expect(() => SharedMemory.create(testObjectName(), sizeBytes)).toThrow(
      expect.objectContaining({ name: 'ShmError', code: 'EINVAL' }),
    );
  });

  test.each(['', '/leading', 'in/side', '..\0'])('the name %j is refused', (name) => {
    const refused = expect.objectContaining({ name: 'ShmError', code: 'EINVAL' });
    expect(() => SharedMemory.create(name, 16)).toThrow(refused);
    expect(() => SharedMemory.open(name)).toThrow(refused);
  });

  test('a missing object is named in the error', () => {
    expect(() => SharedMemory.open('pegaflow_test_missing')).toThrow(/shm_open pegaflow_test_missing: ENOENT/);
  });

  test('an object that is empty or smaller than asked for is refused', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    expect(() => SharedMemory.open(memory.name, { minSizeBytes: 17 })).toThrow(/16 bytes, at least 17/);
    truncateSync(`/dev/shm/${memory.name}`, 0);
    expect(() => SharedMemory.open(memory.name)).toThrow(/0 bytes, at least 1/);
    memory[Symbol.dispose]();
  });

  test('an object that somebody else removed is disposed of without complaint', () => {
    const memory = SharedMemory.create(testObjectName(), 16);
    unlinkSync(`/dev/shm/${memory.name}`);
    expect(() => memory[Symbol.dispose]()).not.toThrow();
  });
});
