import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputTooLargeError, LineCutter, linesOf, textOf } from '../../src/bounded-input.ts';

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(1 << 16).fill(0x61);
}

describe('lines of a stream', () => {
  it('are the same however their bytes are cut, letters of several bytes and CRLF included', () => {
    const lines = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replace(/[\r\n]/g, '')));
    fc.assert(
      fc.property(lines, fc.constantFrom('\n', '\r\n'), fc.array(fc.nat({ max: 9 })), (expected, end, sizes) => {
        const bytes = Buffer.from(expected.map((line) => `${line}${end}`).join(''));
        const cutter = new LineCutter();
        const read: string[] = [];
        let at = 0;
        for (const size of sizes) {
          read.push(...cutter.take(bytes.subarray(at, at + size)));
          at += size;
        }
        read.push(...cutter.take(bytes.subarray(at)));
        expect(read).toEqual(expected);
        expect(cutter.end()).toBe('');
      }),
    );
  });

  it('are taken up to the limit and refused above it, ended or not', () => {
    expect([...new LineCutter(4).take(Buffer.from('1234\n12'))]).toEqual(['1234']);
    expect(() => [...new LineCutter(4).take(Buffer.from('12345\n'))]).toThrow(InputTooLargeError);
    const cutter = new LineCutter(4);
    expect([...cutter.take(Buffer.from('é'))]).toEqual([]);
    expect(() => [...cutter.take(Buffer.from('123'))]).toThrow('a line of more than 4 bytes');
  });

  it('that never end are given up, and the stream with them', async () => {
    const stream = Readable.from(endless(), { objectMode: false });
    await expect(linesOf(stream).next()).rejects.toThrow('a line of more than 1048576 bytes');
    expect(stream.destroyed).toBe(true);
  });

  it('leave out what was cut off at the end of the stream', async () => {
    const read: string[] = [];
    for await (const line of linesOf(Readable.from([Buffer.from('one\ntw')]))) read.push(line);
    expect(read).toEqual(['one']);
  });
});

describe('the text of a stream', () => {
  it('is whole up to the limit, and refused above it', async () => {
    expect(await textOf(Readable.from([Buffer.from('ab'), Buffer.from('cd')]), 4)).toBe('abcd');
    await expect(textOf(Readable.from(endless()), 1000)).rejects.toThrow('more than 1000 bytes');
  });
});
