import http from 'node:http';
import type { Engine } from './engine.ts';
import { messageOf } from './engine-error.ts';
import { type FaultRequest, faultRequestFrom } from './fault-json.ts';
import type { FaultBoard } from './faults.ts';

/** Writes the metrics of the process to a response. */
export type MetricsHandler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

export interface AdminDependencies {
  readonly engine: Engine;
  readonly metricsHandler: MetricsHandler | null;
  /** `null`: there is no `/faults`. */
  readonly faults: FaultBoard | null;
  /** Things to do once, after the switches were changed. */
  readonly onFaultRequest: (request: FaultRequest) => Promise<void>;
}

type Reply = { readonly status: number; readonly body: string | object };
type Handler = (url: URL, request: http.IncomingMessage) => Reply | Promise<Reply>;

const MAX_BODY_BYTES = 1 << 20;

/** The server's HTTP port: health, instances, cleanup, metrics; and the fault switches where they are enabled. */
export const createAdminServer = (dependencies: AdminDependencies): http.Server => {
  const { metricsHandler } = dependencies;
  const handlers = adminHandlers(dependencies);
  return http.createServer((request, response) => {
    const url = URL.parse(request.url ?? '/', 'http://admin');
    const route = `${request.method} ${url?.pathname}`;
    if (route === 'GET /metrics' && metricsHandler !== null) {
      metricsHandler(request, response);
      return;
    }
    const handler = Object.hasOwn(handlers, route) ? handlers[route] : undefined;
    void replyOf(() => (url === null ? undefined : handler?.(url, request))).then((reply) => send(response, reply));
  });
};

const adminHandlers = ({ engine, faults, onFaultRequest }: AdminDependencies): Record<string, Handler> => ({
  'GET /health': () => ({ status: 200, body: 'ok' }),
  'GET /metrics': () => ({ status: 404, body: 'metrics not enabled' }),
  'GET /instances': () => ({ status: 200, body: { instances: engine.instanceIds } }),
  'POST /instances/cleanup': async (url) => {
    const id = url.searchParams.get('id');
    const cleanup =
      id === null ? await engine.registrations.cleanupAll() : await engine.registrations.cleanupInstance(id);
    if (cleanup === null) return { status: 404, body: `instance ${id} not found` };
    const body = { removed_instances: cleanup.removedInstances, removed_tensors: cleanup.removedTensors };
    return { status: 200, body };
  },
  'POST /cache/memory/cleanup': () => {
    const { evictedBlocks, evictedBytes, reclaimedBytes, stillReferencedBlocks } = engine.cleanupMemory();
    const body = {
      evicted_blocks: evictedBlocks,
      evicted_bytes: evictedBytes,
      reclaimed_bytes: reclaimedBytes,
      still_referenced_blocks: stillReferencedBlocks,
    };
    return { status: 200, body };
  },
  ...(faults !== null && faultHandlers(faults, onFaultRequest)),
});

const faultHandlers = (
  faults: FaultBoard,
  onFaultRequest: AdminDependencies['onFaultRequest'],
): Record<string, Handler> => ({
  'GET /faults': () => ({ status: 200, body: faults.switches }),
  'DELETE /faults': () => {
    faults.clear();
    return { status: 200, body: faults.switches };
  },
  'POST /faults': async (_, request) => {
    const text = await bodyOf(request);
    let faultRequest: FaultRequest;
    try {
      faultRequest = faultRequestFrom(JSON.parse(text));
    } catch (error) {
      return { status: 400, body: messageOf(error) };
    }
    faults.merge(faultRequest.patch);
    await onFaultRequest(faultRequest);
    return { status: 200, body: faults.switches };
  },
});

const replyOf = async (work: () => Reply | Promise<Reply> | undefined): Promise<Reply> => {
  try {
    return (await work()) ?? { status: 404, body: 'not found' };
  } catch (error) {
    return { status: 500, body: messageOf(error) };
  }
};

const bodyOf = async (request: http.IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BODY_BYTES) throw new Error('body too large');
  }
  return Buffer.concat(chunks).toString();
};

const send = (response: http.ServerResponse, { status, body }: Reply): void => {
  const isText = typeof body === 'string';
  response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' });
  response.end(isText ? body : JSON.stringify(body));
};
