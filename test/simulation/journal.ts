/** What happened in one run: the last lines for people, and a hash of them all. */
export class Journal {
  #lines: string[] = [];
  #keep: number;
  #hash = 0x811c9dc5;
  #nowMs: () => number;

  constructor(nowMs: () => number, keep: number) {
    this.#nowMs = nowMs;
    this.#keep = keep;
  }

  write(who: string, what: string): void {
    const line = `${this.#nowMs().toFixed(3).padStart(12)} ${who.padEnd(16)} ${what}`;
    let hash = this.#hash;
    for (let i = 0; i < line.length; i++) hash = Math.imul(hash ^ line.charCodeAt(i), 0x01000193);
    this.#hash = hash;
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#keep) this.#lines.splice(0, this.#keep);
  }

  /** FNV-1a of every line, as hex. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  get lines(): readonly string[] {
    return this.#lines.slice(-this.#keep);
  }
}
