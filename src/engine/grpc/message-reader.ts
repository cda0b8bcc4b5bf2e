import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { EngineError, messageOf } from '../engine-error.ts';

const PREFIX_BYTES = 5;

/** The limit is on the encoded message. */
const MAX_MESSAGE_BYTES = 64 << 20;

const protocolError = (message: string) => new EngineError(Code.Internal, message);

/**
 * The one message of a request, from bytes as they arrive. Whatever follows it must be readable too, and is left
 * alone otherwise. Throws what the server answers.
 */
export class MessageReader<M extends DescMessage> {
  readonly #schema: M;
  #message: MessageShape<M> | null = null;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  /** Less than this cannot be worked with. */
  #neededBytes = PREFIX_BYTES;

  constructor(schema: M) {
    this.#schema = schema;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    while (this.#sizeBytes >= this.#neededBytes) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const endBytes = PREFIX_BYTES + messageSizeBytes(bytes);
      const isWhole = bytes.length >= endBytes;
      if (isWhole) this.#decode(bytes.subarray(PREFIX_BYTES, endBytes));
      const rest = isWhole ? bytes.subarray(endBytes) : bytes;
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#sizeBytes = rest.length;
      this.#neededBytes = isWhole ? PREFIX_BYTES : endBytes;
    }
  }

  /** The request is complete. */
  end(): MessageShape<M> {
    if (this.#sizeBytes > 0) throw protocolError('Unexpected EOF decoding stream.');
    if (this.#message === null) throw protocolError('Missing request message.');
    return this.#message;
  }

  #decode(bytes: Buffer): void {
    try {
      const message = fromBinary(this.#schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
      this.#message ??= message;
    } catch (error) {
      throw protocolError(`failed to decode Protobuf message: ${messageOf(error)}`);
    }
  }
}

const messageSizeBytes = (bytes: Buffer): number => {
  const flag = bytes[0];
  if (flag === 1) {
    throw protocolError('protocol error: received message with compressed-flag but no grpc-encoding was specified');
  }
  if (flag !== 0) {
    throw protocolError(
      `protocol error: received message with invalid compression flag: ${flag} (valid flags are 0 and 1), while sending request`,
    );
  }
  const sizeBytes = bytes.readUInt32BE(1);
  if (sizeBytes > MAX_MESSAGE_BYTES) {
    throw new EngineError(
      Code.OutOfRange,
      `Error, decoded message length too large: found ${sizeBytes} bytes, the limit is: ${MAX_MESSAGE_BYTES} bytes`,
    );
  }
  return sizeBytes;
};
