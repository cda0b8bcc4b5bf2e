import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { LoadState, SharedMemory } from '../../native-bindings/index.ts';
import { shmObjects, shmObjectsOf, testObjectName } from './shm-objects.ts';

afterEach(() => {
  expect(shmObjectsOf(process.pid)).toEqual([]);
});

const MAKE_PIPE = 'mkfifo';

interface Record {
  readonly sizeBytes?: number;
  readonly offset?: bigint;
  readonly magic?: number;
  readonly version?: number;
}

/** A record by another hand, good unless told otherwise. */
const foreignRecord = ({ sizeBytes = 32, offset = 8n, magic = 0x50464c44, version = 1 }: Record): SharedMemory => {
  const memory = SharedMemory.create(testObjectName(), sizeBytes);
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, offset, true);
  const isInside = offset >= 8n && offset + 8n <= sizeBytes;
  if (isInside) {
    view.setUint32(Number(offset), magic, true);
    view.setUint32(Number(offset) + 4, version, true);
  }
  memory.write(0, bytes);
  return memory;
};

describe('LoadState', () => {
  test('a new record is the 32 bytes that the server expects, under a name that it accepts', () => {
    const record = LoadState.create();
    expect(record.name).toMatch(/^pega_load_[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
    const bytes = readFileSync(`/dev/shm/${record.name}`);
    expect(bytes.length).toBe(32);
    expect(bytes.subarray(0, 24).toString('hex')).toBe(
      ['0800000000000000', '444c4650', '01000000', '0000000000000000'].join(''),
    );
    record[Symbol.dispose]();
  });

  test.each([1, -1] as const)('what the attached side signals, %d, is what the creator polls', (outcome) => {
    const record = LoadState.create();
    const attached = LoadState.attach(record.name);
    expect(record.state()).toBe(0);
    attached.signal(outcome);
    expect(record.state()).toBe(outcome);
    expect(readFileSync(`/dev/shm/${record.name}`).readBigInt64LE(16)).toBe(BigInt(outcome));
    attached[Symbol.dispose]();
    record[Symbol.dispose]();
  });

  test('the attached side leaves the object in place, and the creator takes it away', () => {
    const record = LoadState.create();
    LoadState.attach(record.name)[Symbol.dispose]();
    expect(shmObjects()).toContain(record.name);
    record[Symbol.dispose]();
    record[Symbol.dispose]();
    expect(shmObjects()).not.toContain(record.name);
    expect(() => LoadState.attach(record.name)).toThrow(expect.objectContaining({ name: 'ShmError', code: 'ENOENT' }));
  });

  test('a record that begins elsewhere in a larger object is found', () => {
    const memory = foreignRecord({ sizeBytes: 64, offset: 48n });
    const attached = LoadState.attach(memory.name);
    attached.signal(1);
    expect(memory.loadInt64(56)).toBe(1n);
    attached[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test.each<[string, Record, RegExp]>([
    ['less than 32 bytes', { sizeBytes: 31 }, /^shared memory too small \(actual=31 bytes, required=32 bytes\)$/],
    [
      'an offset inside the header',
      { offset: 0n },
      /^invalid LoadState offset \(offset=0, len=32\) recorded in shared memory$/,
    ],
    [
      'an offset that leaves no room',
      { offset: 24n },
      /^shared memory too small \(actual=32 bytes, required=40 bytes\)$/,
    ],
    ['an offset beyond every size', { offset: 2n ** 64n - 8n }, /^address calculation overflowed/],
    ['an offset out of line', { sizeBytes: 64, offset: 12n }, /^aligned pointer 0xc is not 8-byte aligned$/],
    [
      'another magic',
      { magic: 0xdead_beef },
      /^invalid LoadState header \(magic=0xdeadbeef, version=1, expected magic=0x50464c44, version=1\)$/,
    ],
    ['another version', { version: 2 }, /version=2, expected/],
  ])('an object with %s is refused', (_, record, message) => {
    const memory = foreignRecord(record);
    try {
      expect(() => LoadState.attach(memory.name)).toThrow(message);
    } finally {
      memory[Symbol.dispose]();
    }
  });

  test('a record whose name was removed is still polled and signalled by those who have it', () => {
    const record = LoadState.create();
    const attached = LoadState.attach(record.name);
    unlinkSync(`/dev/shm/${record.name}`);
    expect(() => LoadState.attach(record.name)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    attached.signal(-1);
    expect(record.state()).toBe(-1);
    attached[Symbol.dispose]();
    record[Symbol.dispose]();
  });

  test('a name that another object took meanwhile does not lead to the record of before', () => {
    const record = LoadState.create();
    unlinkSync(`/dev/shm/${record.name}`);
    writeFileSync(`/dev/shm/${record.name}`, Buffer.alloc(32));
    expect(() => LoadState.attach(record.name)).toThrow(
      /^invalid LoadState offset \(offset=0, len=32\) recorded in shared memory$/,
    );
    expect(record.state()).toBe(0);
    record[Symbol.dispose]();
  });

  test.each<[string, string, (path: string) => void]>([
    ['a symbolic link to a record', 'ELOOP', (path) => symlinkSync('/dev/shm/pegaflow_test_elsewhere', path)],
    ['a directory', 'EINVAL', (path) => mkdirSync(path)],
    ['a pipe', 'EINVAL', (path) => execFileSync(MAKE_PIPE, [path])],
    ['an empty object', 'EINVAL', (path) => writeFileSync(path, '')],
  ])('%s is refused', (_, code, make) => {
    const name = testObjectName();
    make(`/dev/shm/${name}`);
    try {
      expect(() => LoadState.attach(name)).toThrow(expect.objectContaining({ name: 'ShmError', code }));
    } finally {
      rmSync(`/dev/shm/${name}`, { recursive: true });
    }
  });

  test('use after dispose is an error of ours', () => {
    const record = LoadState.create();
    record[Symbol.dispose]();
    expect(() => record.state()).toThrow(/used after dispose/);
    expect(() => record.signal(1)).toThrow(/used after dispose/);
  });
});
