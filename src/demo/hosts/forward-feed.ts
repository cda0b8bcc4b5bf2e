import { ConnectorFeed } from '../../feed/connector-feed.ts';
import type { FeedRecord } from '../../feed/record.ts';
import type { Watched } from '../../feed/watch/watched.ts';

/** What this instance is called, where its id would be long. */
const INSTANCE = 'demo';

/** Hands what a connector of this process does to the feed of another one, which keeps it. */
export function forwardFeed(connector: Watched, send: (record: FeedRecord) => void): void {
  const feed = new ConnectorFeed({ historyLimit: 1 });
  feed.onRecord(send);
  feed.watch(connector, INSTANCE);
}
