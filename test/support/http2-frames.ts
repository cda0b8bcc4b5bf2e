import { once } from 'node:events';
import net from 'node:net';
import { within } from './within.ts';

const frameTypes = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
];

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const END_STREAM = 1;
const END_HEADERS = 4;
export const ACK = 1;

export interface Frame {
  readonly type: string;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const isPing = ({ type, flags }: Frame) => type === 'PING' && flags === 0;

/** An HTTP/2 connection frame by frame: nothing is sent that the test did not ask for, but acknowledged SETTINGS. */
export class Http2Frames implements Disposable {
  readonly received: Frame[] = [];
  readonly #socket: net.Socket;
  #rest: Buffer = Buffer.alloc(0);
  #wake = () => {};
  #hasEnded = false;

  /** Its own side stays open when the server ends the other. Pings are left to {@link ackPing}. */
  static async connect(grpcAddress: string, { sendsSettings = true } = {}): Promise<Http2Frames> {
    const { hostname, port } = new URL(`http://${grpcAddress}`);
    const socket = net.connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    await within(5000, 'the connection', once(socket, 'connect'));
    const frames = new Http2Frames(socket);
    socket.write(PREFACE);
    if (sendsSettings) frames.send('SETTINGS', 0, 0);
    return frames;
  }

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => this.#read(bytes));
    for (const event of ['end', 'close']) {
      socket.once(event, () => {
        this.#hasEnded = true;
        this.#wake();
      });
    }
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  send(type: string, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = frameTypes.indexOf(type);
    header[4] = flags;
    header.writeUInt32BE(streamId, 5);
    this.write(Buffer.concat([header, payload]));
  }

  /** A gRPC request with one message. */
  request(streamId: number, path: string, body: Buffer): void {
    this.send('HEADERS', END_HEADERS, streamId, requestBlock(path));
    this.send('DATA', END_STREAM, streamId, body);
  }

  ackPing({ payload }: Frame): void {
    this.send('PING', ACK, 0, payload);
  }

  /** The frames of one type so far. */
  all(type: string): Frame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  /** Waits for the n-th frame of a type; pings that are acknowledged do not count. */
  async nth(type: string, count = 1): Promise<Frame> {
    const found = () => this.received.filter((frame) => frame.type === type && (type !== 'PING' || isPing(frame)));
    await this.#until(`${type} number ${count}`, () => found().length >= count);
    return found()[count - 1]!;
  }

  /** Waits until the server has ended its side. */
  async ended(): Promise<void> {
    await this.#until('the end of the connection', () => this.#hasEnded);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #until(what: string, isTrue: () => boolean): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#wake = () => {
        if (isTrue()) resolve();
      };
    });
    this.#wake();
    await within(5000, what, seen);
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const frame = {
        type: frameTypes[this.#rest[3]!] ?? 'unknown',
        flags: this.#rest[4]!,
        streamId: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, end),
      };
      this.#rest = this.#rest.subarray(end);
      this.received.push(frame);
      if (frame.type === 'SETTINGS' && frame.flags !== ACK) this.send('SETTINGS', ACK, 0);
    }
    this.#wake();
  }
}

export const settingsOf = ({ payload }: Frame): Record<number, number> => {
  const settings: Record<number, number> = {};
  for (let at = 0; at < payload.length; at += 6) settings[payload.readUInt16BE(at)] = payload.readUInt32BE(at + 2);
  return settings;
};

export const goawayOf = ({ payload }: Frame) => ({
  lastStreamId: payload.readUInt32BE(0),
  code: payload.readUInt32BE(4),
});

/** Literals without indexing and without Huffman: no state on either side. */
const requestBlock = (path: string): Buffer => {
  const headers = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': path,
    ':authority': 'test',
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  return Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]),
  );
};
