import type { Logger } from './logger.ts';

type Level = keyof Logger;

interface Window {
  count: number;
  level: Level;
  fields: object;
}

/**
 * Writes the first line of a kind at once; repeats within the window after it are counted, and told in one line at its
 * end, with what the last of them said. So a flapping server does not flood a log.
 */
export class Repeats {
  #logger: Logger;
  #windowMs: number;
  #windows = new Map<string, Window>();

  constructor(logger: Logger, windowMs: number) {
    this.#logger = logger;
    this.#windowMs = windowMs;
  }

  write(level: Level, message: string, fields: object): void {
    const window = this.#windows.get(message);
    if (window === undefined) {
      this.#open(message, { count: 0, level, fields });
      this.#logger[level](fields, message);
      return;
    }
    window.count += 1;
    window.level = level;
    window.fields = fields;
  }

  #open(message: string, window: Window): void {
    this.#windows.set(message, window);
    setTimeout(() => this.#close(message, window), this.#windowMs).unref();
  }

  #close(message: string, { count, level, fields }: Window): void {
    this.#windows.delete(message);
    if (count === 0) return;
    this.#open(message, { count: 0, level, fields });
    this.#logger[level]({ ...fields, repeats: count }, `${message}, ${count} times more in ${this.#windowMs} ms`);
  }
}
