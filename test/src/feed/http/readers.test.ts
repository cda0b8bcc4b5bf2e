import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Readers } from '../../../../src/feed/http/readers.ts';

/** A stream with so much unsent that it wants no more. */
function full(): PassThrough {
  const reader = new PassThrough({ writableHighWaterMark: 10, readableHighWaterMark: 1 });
  for (let i = 0; i < 3; i += 1) reader.write('0123456789');
  expect(reader.writableNeedDrain).toBe(true);
  return reader;
}

function beat(readers: Readers, times: number): void {
  for (let i = 0; i < times; i += 1) readers.beat();
}

test('a reader hears a sign of life with every beat', () => {
  const readers = new Readers();
  const reader = new PassThrough();
  readers.add(reader);
  beat(readers, 5);
  expect(reader.read().toString()).toBe(':\n\n'.repeat(5));
  expect(readers.count).toBe(1);
});

test('a reader that takes nothing is dropped at the fourth beat', async () => {
  const readers = new Readers();
  const reader = full();
  readers.add(reader);
  beat(readers, 3);
  expect(reader.destroyed).toBe(false);
  beat(readers, 1);
  expect(reader.destroyed).toBe(true);
  await once(reader, 'close');
  expect(readers.count).toBe(0);
});

test('a reader that has got the end hears nothing after it', async () => {
  const readers = new Readers();
  const reader = new PassThrough();
  readers.add(reader);
  reader.end('the end');
  beat(readers, 1);
  expect(reader.read().toString()).toBe('the end');
  await once(reader, 'close');
  expect(readers.count).toBe(0);
});

test('a reader that fails takes nobody along', async () => {
  const readers = new Readers();
  const reader = new PassThrough();
  readers.add(reader);
  reader.destroy(new Error('reset'));
  beat(readers, 1);
  await new Promise((resolve) => reader.once('close', resolve));
  expect(readers.count).toBe(0);
});

test('a reader that is slow is not, and is sent nothing on top', () => {
  const readers = new Readers();
  const reader = full();
  readers.add(reader);
  for (let i = 0; i < 2; i += 1) {
    beat(readers, 3);
    expect(reader.read(10)?.toString()).toBe('0123456789');
  }
  expect(reader.destroyed).toBe(false);
});
