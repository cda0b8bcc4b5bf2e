/** What the server of a run wrote, kept where it was asked for, and its warnings and errors counted by their words. */
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { InputTooLargeError, LineCutter } from '../../bounded-input.ts';
import { errorText } from '../../error-text.ts';
import { UsageError } from '../../usage-error.ts';

export interface ServerLogReport {
  readonly warnings: number;
  readonly errors: number;
  /** Distinct lines, those alike counted together; the most frequent first. */
  readonly lines: readonly CountedLine[];
}

export interface CountedLine {
  readonly level: Level;
  /** Without its time, and with `…` for ids and numbers. */
  readonly text: string;
  readonly count: number;
}

export type Level = 'WARN' | 'ERROR';

/** Lines kept to say why a server ended. */
const LAST_LINES = 20;
/** Distinct lines that are told apart. */
const MAX_KINDS = 200;

export class ServerLog implements Disposable {
  #file: number | null;
  readonly #kinds = new Map<string, { readonly level: Level; readonly text: string; count: number }>();
  readonly #counts = { WARN: 0, ERROR: 0 };
  #last: string[] = [];

  /** @throws UsageError where the file cannot be written; one that is there is replaced */
  constructor(path: string | null) {
    try {
      this.#file = path === null ? null : openSync(path, 'w');
    } catch (error) {
      throw new UsageError(`cannot write the server’s log: ${errorText(error)}`);
    }
  }

  /** A server starts: what the one before said does not explain its end. */
  begin(): void {
    this.#last = [];
  }

  /** Reads what a server writes, to its end. Of a line that is too long its beginning is lost. */
  async read(output: Readable | null): Promise<void> {
    if (output === null) return;
    let cutter = new LineCutter();
    output.on('data', (chunk: Uint8Array) => {
      try {
        for (const line of cutter.take(chunk)) this.write(line);
      } catch (error) {
        if (!(error instanceof InputTooLargeError)) throw error;
        cutter = new LineCutter();
      }
    });
    await once(output, 'close');
    this.write(cutter.end());
  }

  write(raw: string): void {
    const line = stripVTControlCharacters(raw);
    if (line.trim() === '') return;
    if (this.#file !== null) writeSync(this.#file, `${line}\n`);
    this.#last = [...this.#last, line].slice(-LAST_LINES);
    const found = leveled(line);
    if (found === null) return;
    this.#counts[found.level] += 1;
    const key = `${found.level} ${found.text}`;
    const known = this.#kinds.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#kinds.size < MAX_KINDS) this.#kinds.set(key, { ...found, count: 1 });
  }

  /** The line that says most about why the server ended; empty where it said nothing. */
  get lastWords(): string {
    const telling = this.#last.filter((line) => /error|panicked|cannot|failed/i.test(line));
    const chosen = telling.at(-1) ?? this.#last.at(-1) ?? '';
    return (jsonFields(chosen)?.msg ?? chosen).trim();
  }

  report(): ServerLogReport {
    const lines = [...this.#kinds.values()].sort((a, b) => b.count - a.count);
    return { warnings: this.#counts.WARN, errors: this.#counts.ERROR, lines };
  }

  [Symbol.dispose](): void {
    const file = this.#file;
    this.#file = null;
    if (file !== null) closeSync(file);
  }
}

const PINO_WARN = 40;
const PINO_ERROR = 50;

/** A warning or an error; `null` for any other line. */
function leveled(line: string): { readonly level: Level; readonly text: string } | null {
  const json = jsonFields(line);
  if (json !== null) {
    return json.level < PINO_WARN ? null : { level: json.level < PINO_ERROR ? 'WARN' : 'ERROR', text: alike(json.msg) };
  }
  if (/panicked at/.test(line)) return { level: 'ERROR', text: alike(line) };
  const [, level, text = ''] = /^\S+\s+(WARN|ERROR)\s+(.*)$/.exec(line) ?? [];
  return level === 'WARN' || level === 'ERROR' ? { level, text: alike(text) } : null;
}

function jsonFields(line: string): { readonly level: number; readonly msg: string } | null {
  if (!line.startsWith('{')) return null;
  try {
    const { level, msg } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    return typeof level === 'number' && typeof msg === 'string' ? { level, msg } : null;
  } catch {
    return null;
  }
}

/** The same text for lines that differ in what they are about. */
function alike(text: string): string {
  return text
    .replaceAll(/\b(demo|check)-[0-9a-f-]{36}/g, '…')
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, '…')
    .replaceAll(/\b[0-9a-f]{16,}\b/g, '…')
    .replaceAll(/(\.rs:)\d+/g, '$1…')
    .replaceAll(/\b\d+(\.\d+)*(?=\b|[a-zµ])/g, '…');
}
