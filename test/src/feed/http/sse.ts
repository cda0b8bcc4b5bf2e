import http from 'node:http';
import type { FeedRecord, Header } from '../../../../src/feed/record.ts';
import { atEnd } from '../../../support/own.ts';
import { eventually } from '../../../support/within.ts';

/** A reader of a feed, as a browser is one. */
export interface FeedReader {
  readonly header: Header;
  /** What came so far, without the header. */
  readonly records: FeedRecord[];
  /** Settles with the first record, of those that came and will come, that satisfies. */
  until(what: string, condition: (record: FeedRecord) => boolean): Promise<FeedRecord>;
  /** Settles when the server has ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

export async function readFeed(url: string): Promise<FeedReader> {
  const response = await get(`${url}/feed`);
  const messages: unknown[] = [];
  const ended = Promise.withResolvers<void>();
  let rest = '';
  response.setEncoding('utf8').on('data', (text: string) => {
    const events = `${rest}${text}`.split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const data = event.split('\n').find((line) => line.startsWith('data: '));
      if (data !== undefined) messages.push(JSON.parse(data.slice('data: '.length)));
    }
  });
  response.on('close', () => ended.resolve());
  response.on('error', () => {});
  atEnd(() => response.destroy());
  await eventually('the header', () => (messages.length > 0 ? true : null));
  const header = messages.shift() as Header;
  const records = messages as FeedRecord[];
  return {
    header,
    records,
    until: (what, condition) => eventually(what, () => records.find(condition) ?? null, 20_000),
    ended: ended.promise,
    close: () => void response.destroy(),
  };
}

export function get(url: string, options: http.RequestOptions = {}): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http
      .request(url, { agent: false, ...options }, resolve)
      .on('error', reject)
      .end();
  });
}

export async function textOf(response: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}
