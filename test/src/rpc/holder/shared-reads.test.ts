import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SharedReads } from '../../../../src/rpc/holder/shared-reads.ts';
import { mentions } from '../../../../src/rpc/holder/text-in-file.ts';
import { atEnd } from '../../../support/own.ts';

/** Reads that end when they are told to; answers are the number of the read. */
function reads() {
  const begun: { readonly path: string; readonly end: () => void; readonly fail: () => void }[] = [];
  const shared = new SharedReads<{ readIn: number | null }>(async (path, questions) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const number = begun.push({ path, end: resolve, fail: () => reject(new Error('it has gone')) });
    await promise;
    for (const question of questions) question.readIn = number;
  });
  const ask = async (path: string) => {
    const question = { readIn: null };
    await shared.ask(path, question);
    return question.readIn;
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { begun, ask, turn };
}

describe('what many ask for at once', () => {
  it('is read once for all who ask before the read, and once more for all who ask during it', async () => {
    const { begun, ask, turn } = reads();
    const first = Array.from({ length: 500 }, () => ask('maps'));
    await turn();
    const second = Array.from({ length: 500 }, () => ask('maps'));
    await turn();
    expect(begun).toHaveLength(1);
    begun[0]!.end();
    expect(new Set(await Promise.all(first))).toEqual(new Set([1]));
    await turn();
    begun[1]!.end();
    expect(new Set(await Promise.all(second))).toEqual(new Set([2]));
    expect(begun).toHaveLength(2);
  });

  it('is read anew for who asks when the read is over, also after one that failed', async () => {
    const { begun, ask, turn } = reads();
    const failed = ask('maps');
    await turn();
    const next = ask('maps');
    begun[0]!.fail();
    expect(await failed).toBeNull();
    await turn();
    begun[1]!.end();
    expect(await next).toBe(2);
    const last = ask('maps');
    await turn();
    begun[2]!.end();
    expect(await last).toBe(3);
  });

  it('does not wait for what others ask for', async () => {
    const { begun, ask, turn } = reads();
    const never = ask('of a process that is stuck');
    const other = ask('of another');
    await turn();
    begun.find(({ path }) => path === 'of another')!.end();
    expect(await other).toBe(2);
    begun[0]!.end();
    await never;
  });

  it('is answered to each for itself, wherever its text lies in the file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'maps-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'maps');
    const name = (index: number) => `/dev/shm/segment_${String(index).padStart(6, '0')}.`;
    const names = Array.from({ length: 4_000 }, (_, index) => name(2 * index));
    writeFileSync(path, names.map((one) => `7f0000000000-7f0000010000 rw-s 00000000 00:1a 4 ${one}\n`).join(''));
    const asked = Array.from({ length: 1_000 }, (_, index) => index * 7);
    const found = await Promise.all(asked.map((index) => mentions(path, ['nowhere', name(index)])));
    expect(found).toEqual(asked.map((index) => index % 2 === 0));
  });
});
