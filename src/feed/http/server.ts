/** Serves a feed over HTTP: the page, the records as they come, and where everything stands. Read-only. */
import http from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { foreignPage } from '../../foreign-page.ts';
import { type Encoding, pump } from '../pump.ts';
import type { FeedSource } from '../source.ts';
import { pageFile } from './page-files.ts';
import { Readers } from './readers.ts';

export interface FeedServerOptions {
  /** Default 0: any free one. */
  readonly port?: number;
  /**
   * Where to listen. Default `127.0.0.1`: whoever reaches it may read everything. It answers those who ask by an IP
   * address, by `localhost` or by this name.
   */
  readonly host?: string;
}

export interface FeedServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** Ends every connection, at the latest a second later. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 64;
const MAX_READERS = 32;
/** By its silence a reader notices that the feed's process is frozen. */
const HEARTBEAT_INTERVAL_MS = 5_000;

/** For readers to take the last records of a feed that has ended. */
const CLOSE_TIMEOUT_MS = 1_000;
/** A browser connects again so long after its feed was lost. */
const RETRY_MS = 500;

const EVENT_STREAM: Encoding = {
  record: (record, number) => `${number === null ? '' : `id: ${number}\n`}data: ${JSON.stringify(record)}\n\n`,
  caughtUp: 'event: caughtUp\ndata\n\n',
};

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Begins to serve, which does not keep the process alive. Rejects where it cannot listen there. */
export async function serveFeed(source: FeedSource, options: FeedServerOptions = {}): Promise<FeedServer> {
  const { port = 0, host = '127.0.0.1' } = options;
  const readers = new Readers();
  const server = http.createServer((request, response) => {
    answer(source, readers, host, request, response).catch(() => response.destroy());
  });
  server.unref();
  server.on('connection', (socket) => socket.unref());
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  server.on('error', () => {});
  const heartbeat = setInterval(() => readers.beat(), HEARTBEAT_INTERVAL_MS);
  heartbeat.unref();
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}`,
    port: bound,
    close: () => {
      clearInterval(heartbeat);
      const late = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
      return new Promise((resolve) => {
        server.close(() => {
          clearTimeout(late);
          resolve();
        });
      });
    },
  };
}

async function answer(
  source: FeedSource,
  readers: Readers,
  host: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const foreign = foreignPage(request.headers, host);
  if (foreign !== null) return refuse(response, 403, foreign);
  if (request.method !== 'GET') return refuse(response, 405, 'read only', { allow: 'GET' });
  const path = URL.parse(request.url ?? '/', 'http://feed')?.pathname ?? '';
  if (path === '/feed') return stream(source, readers, response);
  if (path === '/status') {
    response.writeHead(200, { ...HEADERS, 'content-type': 'application/json' });
    response.end(JSON.stringify(source.status));
    return;
  }
  const file = await pageFile(path);
  if (file === null)
    return refuse(response, 404, path === '/' ? 'no page is installed; /feed and /status are' : 'not found');
  response.writeHead(200, { ...HEADERS, 'content-type': file.contentType });
  response.end(file.bytes);
}

async function stream(source: FeedSource, readers: Readers, response: http.ServerResponse): Promise<void> {
  const header = await source.header();
  if (readers.count >= MAX_READERS) return refuse(response, 503, 'too many readers');
  readers.add(response);
  response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream', connection: 'close' });
  response.write(`retry: ${RETRY_MS}\ndata: ${JSON.stringify(header)}\n\n`);
  if ((await pump(source.history, response, EVENT_STREAM)) === 'ended') response.end();
  else response.destroy();
}

function refuse(
  response: http.ServerResponse,
  status: number,
  reason: string,
  headers: http.OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, { ...HEADERS, ...headers, 'content-type': 'text/plain; charset=utf-8' });
  response.end(reason);
}
