/**
 * A gRPC server on a thread of its own that reads one call as slowly as it is told, answers OK, and tells the length and
 * the digest of what it read.
 */
import { createHash } from 'node:crypto';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { parentPort, Worker, workerData } from 'node:worker_threads';

export interface ReadCall {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The settings of HTTP/2 say how much may be on its way to one stream. */
export interface SaveSinkOptions {
  readonly windowBytes: number;
}

export class SaveSink implements AsyncDisposable {
  readonly endpoint: string;
  readonly #worker: Worker;

  static async start(options: SaveSinkOptions): Promise<SaveSink> {
    const worker = new Worker(new URL(import.meta.url), { workerData: options });
    const port = await new Promise<number>((resolve) => worker.once('message', resolve));
    return new SaveSink(worker, port);
  }

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.endpoint = `http://127.0.0.1:${port}`;
  }

  /** The next call that is read to its end. */
  read(): Promise<ReadCall> {
    return new Promise((resolve) => this.#worker.once('message', resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

if (parentPort !== null && workerData?.windowBytes !== undefined) {
  const port = parentPort;
  const server = http2.createServer({ settings: { initialWindowSize: workerData.windowBytes } });
  server.on('stream', (stream) => {
    const digest = createHash('sha256');
    let sizeBytes = 0;
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      digest.update(chunk);
      sizeBytes += chunk.length;
    });
    stream.on('end', () => {
      port.postMessage({ sizeBytes, sha256: digest.digest('hex') });
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.alloc(5));
    });
  });
  server.listen(0, '127.0.0.1', () => port.postMessage((server.address() as AddressInfo).port));
}
