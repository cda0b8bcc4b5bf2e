import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { within } from './within.ts';

/** What a process has written, line by line. */
export class LogLines {
  readonly #lines: string[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(...streams: readonly Readable[]) {
    for (const stream of streams) {
      createInterface(stream).on('line', (line) => {
        this.#lines.push(line);
        for (const wake of this.#waiters) wake();
      });
    }
  }

  /** How many lines there are so far. */
  get length(): number {
    return this.#lines.length;
  }

  /** Whether a line after the first so many contains `text`. */
  has(text: string, first = 0): boolean {
    return this.#lines.slice(first).some((line) => line.includes(text));
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  /** Settles when a line contains `text`. */
  logged(text: string): Promise<void> {
    return this.#loggedFrom(0, text);
  }

  /** Settles when a line contains `text` that is written from now on. */
  nextLogged(text: string): Promise<void> {
    return this.#loggedFrom(this.#lines.length, text);
  }

  async #loggedFrom(first: number, text: string): Promise<void> {
    const seen = Promise.withResolvers<void>();
    const wake = () => {
      if (this.has(text, first)) seen.resolve();
    };
    this.#waiters.add(wake);
    wake();
    try {
      await within(5000, `the log line "${text}"`, seen.promise);
    } finally {
      this.#waiters.delete(wake);
    }
  }
}
