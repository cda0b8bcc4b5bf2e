import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createProgressView } from '../../../../src/cli/output/progress-view.ts';
import { print, printLine, visible, visibleLines } from '../../../../src/cli/output/terminal.ts';
import { Progress } from '../../../../src/demo/progress.ts';

const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const HOSTILE = [
  ['a title (OSC)', '\u001b]0;owned\u0007'],
  ['a cleared screen (CSI)', '\u001b[2J'],
  ['an 8-bit CSI', '\u009b2J'],
  ['a device control string', '\u0090q\u009c'],
  ['a line that overwrites itself', 'FAILED\rok    '],
  ['a line of its own', 'a\nok: everything that must be 0 is 0'],
  ['a line of its own by Unicode', 'a\u2028ok\u2029ok'],
  ['an order reversed', '\u202etxt.exe'],
  ['an isolate', '\u2067abc\u2069'],
  ['invisible letters', 'a\u{e0041}b\u200bc\ufeff'],
  ['a backspace and a delete', 'ab\b\u007f'],
] as const;

function stream(isTTY: boolean): { readonly stream: WriteStream; readonly written: () => string } {
  const sink = new PassThrough();
  const size = { isTTY, columns: 80, rows: 24 };
  return { stream: Object.assign(sink, size) as unknown as WriteStream, written: () => String(sink.read() ?? '') };
}

describe('what is printed', () => {
  it.each(HOSTILE)('shows %s, and does not obey it', (_, text) => {
    const { stream: out, written } = stream(false);
    printLine(out, text);
    const line = written();
    expect(line.endsWith('\n')).toBe(true);
    expect(line.slice(0, -1)).not.toMatch(OBEYED);
    expect(JSON.parse(`"${line.slice(0, -1)}"`)).toBe(text);
  });

  it('is the same text to those who read JSON', () => {
    fc.assert(
      fc.property(fc.anything({ withUnicodeString: true } as object), fc.string({ unit: 'binary' }), (value, text) => {
        const json = JSON.stringify([value ?? null, text]);
        expect(JSON.parse(visibleLines(json))).toEqual(JSON.parse(json));
      }),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !OBEYED.test(visible(text))));
  });

  it('keeps the lines of a table, its frame and letters of every language', () => {
    const { stream: out, written } = stream(false);
    print(out, '┌─┐\n│ 12 µs, 模型, café │');
    expect(written()).toBe('┌─┐\n│ 12 µs, 模型, café │\n');
  });

  it.each([
    ['lines', false],
    ['the live view', true],
  ])('shows in %s of a demo what its processes said', (_, isTTY) => {
    const { stream: out, written } = stream(isTTY);
    const view = createProgressView(out, { requests: 1, restarts: 0, servedBy: { kind: 'engine', flags: [] } });
    onTestFinished(() => view.done());
    const progress = new Progress();
    const fault = 'defect: \u001b]0;owned\u0007\u202e\nok';
    const event = { type: 'status.changed', machine: 'scheduler', path: 'degraded', fault, atMs: 1 } as never;
    progress.observe(event);
    view.event(event, progress);
    view.transition(`scheduler: a -- ${fault} --> b`);
    view.warning(fault);
    view.done();
    const text = written();
    expect(text).toContain('\\u001b]0;owned\\u0007\\u202e\\u000aok');
    expect(text).not.toContain('\u001b]0;');
    expect(text).not.toContain('\u202e');
  });
});
