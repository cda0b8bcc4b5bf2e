import type { Writable } from 'node:stream';

/** Heartbeats through which a reader may take nothing. */
const STUCK_AFTER_BEATS = 3;

interface Progress {
  unsentBytes: number;
  beatsWithout: number;
}

/** Those who read a stream of events. */
export class Readers {
  #progress = new Map<Writable, Progress>();

  get count(): number {
    return this.#progress.size;
  }

  add(reader: Writable): void {
    this.#progress.set(reader, { unsentBytes: 0, beatsWithout: 0 });
    // Whatever fails is followed by its close; what nobody listens to would end the process.
    reader.on('error', () => {});
    reader.once('close', () => this.#progress.delete(reader));
  }

  /** Sends every reader a sign of life. One that has taken nothing since the third last time is dropped. */
  beat(): void {
    for (const [reader, progress] of this.#progress) {
      const unsentBytes = reader.writableLength;
      const isStuck = reader.writableNeedDrain && unsentBytes === progress.unsentBytes;
      progress.unsentBytes = unsentBytes;
      progress.beatsWithout = isStuck ? progress.beatsWithout + 1 : 0;
      if (progress.beatsWithout >= STUCK_AFTER_BEATS) reader.destroy();
      else if (!reader.writableNeedDrain && !reader.writableEnded && !reader.destroyed) reader.write(':\n\n');
    }
  }
}
