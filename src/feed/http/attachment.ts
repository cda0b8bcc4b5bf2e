import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { linesOf } from '../../bounded-input.ts';
import { errorText } from '../../error-text.ts';
import { FEED_VERSION, type FeedRecord, type Header } from '../record.ts';
import { recordFrom } from '../record-from.ts';
import { ResumedReading } from './resumed-reading.ts';

/** Sees what another process's feed tells. */
export interface FeedListener {
  /** It was reached: what follows is of the feed with this id. */
  began(feedId: string): void;
  record(record: FeedRecord): void;
  /** Everything that was told before is read; whatever follows happens now. */
  caughtUp(): void;
  /** It is not there, or not any more; it is looked for again. */
  lost(reason: string): void;
}

/** A feed sends something more often than this: its heartbeat. */
const SILENT_AFTER_MS = 15_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
const NO_FEED = 'what answers there is no feed of connectors';

/** Follows the feed at `address`, `host:port`, whenever there is one, until `signal` aborts. Never rejects. */
export async function attach(address: string, listener: FeedListener, signal: AbortSignal): Promise<void> {
  const reading = new ResumedReading();
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let reason = 'it has ended';
    try {
      for await (const records of recordsAt(address, reading, listener, signal)) {
        retryMs = FIRST_RETRY_MS;
        if (records === 'caught up') listener.caughtUp();
        else for (const record of records) listener.record(record);
      }
    } catch (error) {
      reason = reasonOf(error);
    }
    if (signal.aborted) return;
    for (const record of reading.lost()) listener.record(record);
    listener.lost(reason);
    await pause(retryMs, undefined, { signal }).catch(() => {});
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  }
}

/** What one connection brings, until it ends. Throws where it cannot be made, is silent, or brings something else. */
async function* recordsAt(
  address: string,
  reading: ResumedReading,
  listener: FeedListener,
  signal: AbortSignal,
): AsyncGenerator<readonly FeedRecord[] | 'caught up'> {
  const response = await responseOf(address, signal);
  let number: number | null = null;
  let hasBegun = false;
  for await (const line of linesOf(response)) {
    const [, field, value = ''] = /^(id|data|event): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') number = Number(value);
    if (field === 'event' && value === 'caughtUp') {
      yield reading.caughtUp();
      yield 'caught up';
    }
    if (field !== 'data') continue;
    const message: unknown = JSON.parse(value);
    if (hasBegun) {
      const record = recordFrom(message);
      if (record !== null) yield reading.take(record, number);
      number = null;
    } else {
      const { feedId } = headerFrom(message);
      reading.begin(feedId);
      listener.began(feedId);
      hasBegun = true;
    }
  }
  if (!hasBegun && !signal.aborted) throw new Error(NO_FEED);
}

async function responseOf(address: string, signal: AbortSignal): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const request = http.get(`http://${address}/feed`, { agent: false, signal, timeout: SILENT_AFTER_MS });
  let silent: http.ClientRequest | http.IncomingMessage = request;
  request.on('timeout', () => silent.destroy(new Error(`nothing came for ${SILENT_AFTER_MS} ms`)));
  request.on('error', reject);
  request.on('response', (response) => {
    silent = response;
    resolve(response);
  });
  const response = await promise;
  if (response.statusCode === 200) return response;
  request.destroy();
  // A feed too may refuse, such as the reader that is one too many, but has something at this path.
  throw new Error(response.statusCode === 404 ? NO_FEED : `it answers with status ${response.statusCode}`);
}

function reasonOf(error: unknown): string {
  const text = errorText(error);
  // What Node says of a response whose connection has ended.
  return text === 'aborted' ? 'the connection was lost' : text;
}

function headerFrom(message: unknown): Header {
  const header = message as Partial<Header> | null;
  if (header?.type !== 'header') throw new Error(NO_FEED);
  if (header.version !== FEED_VERSION) {
    throw new Error(`its feed is of version ${header.version}; this reads version ${FEED_VERSION}`);
  }
  return header as Header;
}
