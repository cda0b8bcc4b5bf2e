import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LoadState } from '../../../native-bindings/index.ts';
import { own } from '../../support/own.ts';
import { TestInstance } from '../../support/test-instance.ts';

const START_BIT = 1n << 44n;
const STAMP_OFFSET = 24;

test('a rank that registers its memory removes the records of loads that a killed rank left', async () => {
  const record = LoadState.create();
  const bytes = readFileSync(`/dev/shm/${record.name}`);
  record[Symbol.dispose]();
  // As of a process that had our pid before us.
  bytes.writeBigUInt64LE(bytes.readBigUInt64LE(STAMP_OFFSET) ^ START_BIT, STAMP_OFFSET);
  const left = `/dev/shm/pega_load_${randomUUID().replaceAll('-', '')}`;
  writeFileSync(left, bytes);
  utimesSync(left, Date.now() / 1_000, Date.now() / 1_000 - 31);
  own(new TestInstance('http://127.0.0.1:9', { worldSize: 1 })).start();
  await expect.poll(() => existsSync(left)).toBe(false);
});
