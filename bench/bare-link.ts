import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { Engine } from '../src/gen/pegaflow/engine_pb.ts';
import { budgetTable } from '../src/index.ts';
import type { EngineClient } from '../src/rpc/connection.ts';
import { Link, type LinkEnd } from '../src/rpc/link.ts';

/** A link and a client as the product makes them, with nothing around them. */
export class BareLink implements Disposable {
  readonly link: Link;
  #client: EngineClient | null = null;

  constructor(endpoint: string, events: { up?: () => void; down?: (end: LinkEnd) => void } = {}) {
    const { pingIntervalMs, pingTimeoutMs } = budgetTable;
    this.link = new Link(
      { endpoint, pingIntervalMs: pingIntervalMs.default, pingTimeoutMs: pingTimeoutMs.default },
      { up: () => events.up?.(), draining: () => {}, down: (end) => events.down?.(end) },
    );
  }

  /** Settles when the server has answered the dial. */
  static async dial(endpoint: string): Promise<BareLink> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const bare = new BareLink(endpoint, { up: resolve, down: ({ fault }) => reject(new Error(fault.message)) });
    await promise;
    return bare;
  }

  get client(): EngineClient {
    this.#client ??= createClient(
      Engine,
      createGrpcTransport({
        baseUrl: this.link.authority,
        sessionManager: this.link,
        readMaxBytes: 64 << 20,
        writeMaxBytes: 64 << 20,
        acceptCompression: [],
      }),
    );
    return this.#client;
  }

  [Symbol.dispose](): void {
    this.link.drop();
  }
}
