import { randomUUID } from 'node:crypto';
import { packageVersion } from '../package-version.ts';
import { wallTimeMs } from '../wall-time.ts';
import { History } from './history/history.ts';
import { type Charts, FEED_VERSION, type Header } from './record.ts';
import { type FeedSource, type FeedStatus, statusOf } from './source.ts';

/** A feed that goes on. */
export class LiveFeed implements FeedSource {
  readonly history: History;
  readonly #identity = {
    feedId: randomUUID(),
    product: `pegaflow-lifecycle ${packageVersion()}`,
    startedAtMs: wallTimeMs(),
  };

  constructor(historyLimit: number) {
    this.history = new History(historyLimit);
  }

  /** The charts are read when the first reader comes. */
  async header(): Promise<Header> {
    const { default: charts } = await import('./charts.json', { with: { type: 'json' } });
    const { truncatedBeforeMs } = this.history;
    return {
      type: 'header',
      version: FEED_VERSION,
      ...this.#identity,
      charts: charts as Charts,
      isLive: true,
      truncatedBeforeMs,
    };
  }

  get status(): FeedStatus {
    return statusOf(this.#identity, this.history, wallTimeMs());
  }
}
