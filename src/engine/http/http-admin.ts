import http from 'node:http';
import { textOf } from '../../bounded-input.ts';
import { foreignPage } from '../../foreign-page.ts';
import type { Engine } from '../engine.ts';
import { messageOf } from '../engine-error.ts';
import type { FaultBoard } from '../faults.ts';
import { type FaultRequest, faultRequestFrom } from './fault-json.ts';

/** Writes the metrics of the process to a response. */
export type MetricsHandler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

export interface AdminDependencies {
  readonly engine: Engine;
  readonly metricsHandler: MetricsHandler | null;
  /** `null`: there is no `/faults`. */
  readonly faults: FaultBoard | null;
  /** Things to do once, after the switches were changed. */
  readonly onFaultRequest: (request: FaultRequest) => Promise<void>;
  /** The name or address that the port was told to listen on. */
  readonly listeningHost: string;
}

interface Reply {
  readonly status: number;
  readonly body: string | object;
}

type Handler = (url: URL, request: http.IncomingMessage) => Reply | Promise<Reply>;

/** What a path answers, by method; GET answers HEAD as well. */
type Resource = Readonly<Partial<Record<'GET' | 'POST' | 'DELETE', Handler>>>;

const MAX_BODY_BYTES = 1 << 20;

/** The server's HTTP port: health, instances, cleanup, metrics; and the fault switches where they are enabled. */
export const createAdminServer = (dependencies: AdminDependencies): http.Server => {
  const { metricsHandler, listeningHost } = dependencies;
  const resources = adminResources(dependencies);
  return http.createServer((request, response) => {
    const url = URL.parse(request.url ?? '/', 'http://admin');
    const resource = url === null ? undefined : resources.get(url.pathname);
    if (url === null || resource === undefined) {
      sendEmpty(response, 404);
      return;
    }
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const handler = Object.entries(resource).find(([name]) => name === method)?.[1];
    const foreign = method === 'GET' ? null : foreignPage(request.headers, listeningHost);
    if (foreign !== null) {
      send(response, { status: 403, body: foreign });
    } else if (handler === undefined) {
      sendEmpty(response, 405, { allow: allowedMethods(resource) });
    } else if (url.pathname === '/metrics' && metricsHandler !== null) {
      metricsHandler(request, response);
    } else {
      void replyOf(() => handler(url, request)).then((reply) => send(response, reply));
    }
  });
};

const adminResources = ({ engine, faults, onFaultRequest }: AdminDependencies): ReadonlyMap<string, Resource> =>
  new Map<string, Resource>([
    ['/health', { GET: () => ({ status: 200, body: 'ok' }) }],
    ['/metrics', { GET: () => ({ status: 404, body: 'metrics not enabled' }) }],
    ['/instances', { GET: () => ({ status: 200, body: { instances: engine.instanceIds } }) }],
    ['/instances/cleanup', { POST: (url) => cleanUpInstances(engine, url.searchParams.get('id')) }],
    ['/cache/memory/cleanup', { POST: () => cleanUpMemory(engine) }],
    ...(faults === null ? [] : [['/faults', faultResource(faults, onFaultRequest)] as const]),
  ]);

const cleanUpInstances = async ({ registrations }: Engine, id: string | null): Promise<Reply> => {
  const cleanup = id === null ? await registrations.cleanupAll() : await registrations.cleanupInstance(id);
  if (cleanup === null) return { status: 404, body: `instance ${id} not found` };
  const body = { removed_instances: cleanup.removedInstances, removed_tensors: cleanup.removedTensors };
  return { status: 200, body };
};

const cleanUpMemory = (engine: Engine): Reply => {
  const { evictedBlocks, evictedBytes, reclaimedBytes, stillReferencedBlocks } = engine.cleanupMemory();
  const body = {
    evicted_blocks: evictedBlocks,
    evicted_bytes: evictedBytes,
    reclaimed_bytes: reclaimedBytes,
    still_referenced_blocks: stillReferencedBlocks,
  };
  return { status: 200, body };
};

const faultResource = (faults: FaultBoard, onFaultRequest: AdminDependencies['onFaultRequest']): Resource => ({
  GET: () => ({ status: 200, body: faults.switches }),
  DELETE: () => {
    faults.clear();
    return { status: 200, body: faults.switches };
  },
  POST: async (_, request) => {
    const text = await textOf(request, MAX_BODY_BYTES);
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

const replyOf = async (work: () => Reply | Promise<Reply>): Promise<Reply> => {
  try {
    return await work();
  } catch (error) {
    return { status: 500, body: messageOf(error) };
  }
};

const allowedMethods = (resource: Resource): string =>
  Object.keys(resource)
    .map((method) => (method === 'GET' ? 'GET,HEAD' : method))
    .join(',');

const send = (response: http.ServerResponse, { status, body }: Reply): void => {
  const isText = typeof body === 'string';
  const text = isText ? body : JSON.stringify(body);
  const contentType = isText ? 'text/plain; charset=utf-8' : 'application/json';
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
  response.end(text);
};

const sendEmpty = (response: http.ServerResponse, status: number, headers: http.OutgoingHttpHeaders = {}): void => {
  response.writeHead(status, { ...headers, 'content-length': 0 });
  response.end();
};
