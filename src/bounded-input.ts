/** Reads what others write, line by line or whole, with a limit in bytes: what has no end must not fill the memory. */

/** Longest line that is read; a record of a feed has some hundred bytes, the header with its charts 40,000. */
export const MAX_LINE_BYTES = 1 << 20;

/** More came than is read. */
export class InputTooLargeError extends Error {
  override readonly name = 'InputTooLargeError';
}

const LINE_END = 0x0a;

/** Cuts chunks of bytes into lines of UTF-8, which end with LF or CRLF. */
export class LineCutter {
  #maxLineBytes: number;
  /** Of the line that has not ended yet. */
  #pieces: Uint8Array[] = [];
  #sizeBytes = 0;

  constructor(maxLineBytes = MAX_LINE_BYTES) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The lines that end in `chunk`. Throws an InputTooLargeError in place of one that is too long. */
  *take(chunk: Uint8Array): Generator<string, void> {
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, from)) {
      this.#keep(chunk.subarray(from, end));
      from = end + 1;
      yield this.end();
    }
    this.#keep(chunk.subarray(from));
  }

  /** The line that has begun, without its end. */
  end(): string {
    const line = Buffer.concat(this.#pieces, this.#sizeBytes).toString('utf8');
    this.#pieces = [];
    this.#sizeBytes = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }

  #keep(piece: Uint8Array): void {
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes > this.#maxLineBytes) {
      throw new InputTooLargeError(`a line of more than ${this.#maxLineBytes} bytes`);
    }
    if (piece.length > 0) this.#pieces.push(piece);
  }
}

/** The lines of a stream as they end; what follows the last line's end is left out. Throws an InputTooLargeError. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  maxLineBytes = MAX_LINE_BYTES,
): AsyncGenerator<string, void> {
  const cutter = new LineCutter(maxLineBytes);
  for await (const chunk of stream) yield* cutter.take(chunk);
}

/** The whole text of a stream. Throws an InputTooLargeError. */
export async function textOf(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new InputTooLargeError(`more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8');
}
