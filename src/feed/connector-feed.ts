import { type FeedServer, type FeedServerOptions, serveFeed } from './http/server.ts';
import { LiveFeed } from './live-feed.ts';
import type { FeedRecord } from './record.ts';
import { type Recording, recordFeed } from './recording.ts';
import type { FeedStatus } from './source.ts';
import { type WatchedCache, watchCache } from './watch/cache-watch.ts';
import { type Watched, watchMachine } from './watch/watched.ts';

export interface ConnectorFeedOptions {
  /**
   * Newest records that are kept for those who come later; of the counts of caches as many again. Default 10,000: some
   * 3 MB, and 2 MB for the counts.
   */
  readonly historyLimit?: number;
}

/** A `ShardedSchedulerConnector`: one machine for each shard. */
export interface WatchedShards extends WatchedCache {
  readonly status: { readonly shards: readonly Watched['status'][] };
  onStatus(listener: (status: WatchedShards['status']) => void): () => void;
  inspect(shard: number, ...rest: Parameters<Watched['inspect']>): () => void;
}

/**
 * What connectors do, for those who watch: served over HTTP, written to a file, or handed to a feed in another process.
 * Watching costs a connector little, and nothing that goes wrong here reaches it.
 */
export class ConnectorFeed {
  #feed: LiveFeed;
  #listeners = new Set<(record: FeedRecord) => void>();
  #watches = new Set<() => void>();
  #servers: FeedServer[] = [];
  #recordings: Recording[] = [];

  /** Throws a RangeError where `historyLimit` is not a whole number above 0. */
  constructor({ historyLimit = 10_000 }: ConnectorFeedOptions = {}) {
    this.#feed = new LiveFeed(historyLimit);
  }

  /**
   * Tells what this connector does from now on, under the name of its instance or another one, and of its shard where it
   * has one: call it right after the constructor. The function that it returns ends that; until then a connector that has
   * stopped stays in {@link status}.
   */
  watch(connector: Watched | WatchedShards, instance: string = connector.instanceId): () => void {
    const machines = machinesOf(connector, instance);
    const names = machines.map(([name]) => name);
    const cache = isCache(connector) ? watchCache(connector, names, (record) => this.accept(record)) : null;
    let running = machines.length;
    const tell = (record: FeedRecord) => {
      this.accept(record);
      if (!isStopped(record)) return;
      cache?.look();
      running -= 1;
      if (running > 0) return;
      // Nothing follows, and a connector that has stopped is not held on to.
      cache?.[Symbol.dispose]();
      this.#watches.delete(stop);
    };
    const stops: (() => void)[] = [];
    const stop = () => {
      this.#watches.delete(stop);
      cache?.[Symbol.dispose]();
      for (const end of stops.splice(0)) end();
    };
    this.#watches.add(stop);
    stops.push(...machines.map(([name, machine]) => watchMachine(machine, name, tell)));
    return stop;
  }

  /** Takes a record that the {@link onRecord} of another feed told. */
  accept(record: FeedRecord): void {
    if (this.#feed.history.isEnded) return;
    this.#feed.history.push(record);
    for (const listener of this.#listeners) this.#tell(listener, record);
  }

  /**
   * Tells `listener` where everything stands, then every record from now on; one that throws is told no more. Call it again for
   * whoever takes the place of one that was told: a feed knows nothing of a machine until it was told where it stands.
   */
  onRecord(listener: (record: FeedRecord) => void): () => void {
    this.#listeners.add(listener);
    for (const record of this.#feed.history.standing.records) {
      if (this.#listeners.has(listener)) this.#tell(listener, record);
    }
    return () => this.#listeners.delete(listener);
  }

  #tell(listener: (record: FeedRecord) => void, record: FeedRecord): void {
    try {
      listener(record);
    } catch {
      this.#listeners.delete(listener);
    }
  }

  /** Where every machine stands. */
  get status(): FeedStatus {
    return this.#feed.status;
  }

  /**
   * Serves the page at `/`, the records at `/feed` and where everything stands at `/status`, until {@link close}; does not
   * keep the process alive. Rejects where it cannot listen there.
   */
  async listen(options: FeedServerOptions = {}): Promise<FeedServer> {
    const server = await serveFeed(this.#feed, options);
    this.#servers.push(server);
    return server;
  }

  /** Writes all records to a new file, until {@link close}. Rejects where there can be no such file. */
  async record(path: string): Promise<void> {
    this.#recordings.push(await recordFeed(this.#feed, path));
  }

  /** Ends what it began; the connectors go on. Rejects where a recording could not be written. */
  async close(): Promise<void> {
    for (const stop of this.#watches) stop();
    this.#feed.history.end();
    const recorded = Promise.all(this.#recordings.splice(0).map(({ written }) => written));
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
    await recorded;
  }
}

function machinesOf(connector: Watched | WatchedShards, instance: string): [string, Watched][] {
  if (!isSharded(connector)) {
    const { shard = null } = connector;
    return [[shard === null ? instance : shardName(instance, shard), connector]];
  }
  return connector.status.shards.map((status, shard) => {
    const inspect: Watched['inspect'] = (listener) => connector.inspect(shard, listener);
    const onStatus: Watched['onStatus'] = (listener) =>
      connector.onStatus(({ shards }) => listener(shards[shard] ?? status));
    return [shardName(instance, shard), { instanceId: instance, status, onStatus, inspect }];
  });
}

function shardName(instance: string, shard: number): string {
  return `${instance} shard ${shard}`;
}

function isStopped(record: FeedRecord): boolean {
  return (
    (record.type === 'transition' && record.to === 'stopped') ||
    (record.type === 'machine' && record.state === 'stopped')
  );
}

function isCache(connector: Watched | WatchedCache): connector is WatchedCache {
  return 'stats' in connector && 'blocks' in (connector as WatchedCache).stats;
}

function isSharded(connector: Watched | WatchedShards): connector is WatchedShards {
  return 'shards' in connector.status;
}
