/**
 * One rank's process: it owns the device memory and a worker connector, and stands in for the model. It computes
 * blocks by writing their content, and verifies every byte of what a load brought.
 */

import { type KvCacheLayer, WorkerConnector, type WorkerStopOutcome } from '../../connector/index.ts';
import { deviceDriverOf } from '../../device-kind.ts';
import { wallTimeMs } from '../../wall-time.ts';
import type { DemoEvent, EventOf } from '../journal.ts';
import { KvMemory } from '../model/kv-memory.ts';
import { forwardFeed } from './forward-feed.ts';
import { endHost } from './host-end.ts';
import { type Channel, parentChannel } from './ipc.ts';
import type { BlockContents, FromWorker, Step, ToWorker } from './messages.ts';
import { describeTransition } from './transition-line.ts';

export type WorkerStart = Extract<ToWorker, { readonly type: 'start' }>;
export type WorkerChannel = Channel<ToWorker, FromWorker>;

export class WorkerHost implements Disposable {
  readonly #channel: WorkerChannel;
  readonly #rank: number;
  readonly #memory: KvMemory;
  readonly #connector: WorkerConnector;
  readonly #expected = new Map<string, BlockContents>();
  /** Saves and computations in the order of their steps. */
  #work: Promise<void> = Promise.resolve();
  #lastCounts = '';

  constructor(channel: WorkerChannel, { server, rank, worldSize, device, transitions, fed }: WorkerStart) {
    this.#channel = channel;
    this.#rank = rank.rank;
    this.#memory = new KvMemory(deviceDriverOf(device), server.namespace, rank);
    const machine = `rank ${rank.rank}`;
    this.#connector = new WorkerConnector({
      ...server,
      rank: rank.rank,
      tpRank: rank.effectiveTpRank,
      tpSize: rank.effectiveTpSize,
      worldSize,
      deviceId: rank.rank,
      ...(transitions
        ? { inspect: describeTransition(machine, (line) => channel.send({ type: 'transition', line })) }
        : {}),
    });
    if (fed) forwardFeed(this.#connector, (record) => channel.send({ type: 'fed', record }));
    this.#connector.onReport((report) => channel.send({ type: 'report', report }));
    this.#connector.onUnsafeRelease((release) => {
      this.#record({ type: 'blocks.releasedUnsafely', atMs: wallTimeMs(), rank: this.#rank, ...release });
    });
    this.#connector.onSettled(() => this.#sendOutput([], []));
    this.#connector.onStatus(({ path, fault }) => {
      this.#record({ type: 'status.changed', atMs: wallTimeMs(), machine, path, fault: fault?.message ?? null });
    });
    const layers: KvCacheLayer[] = this.#memory.registration();
    this.#connector.registerKvCaches(layers);
  }

  receive(message: Exclude<ToWorker, { readonly type: 'start' }>): void {
    if (message.type === 'announce') this.#connector.acceptAnnouncement(message.announcement);
    else if (message.type === 'step') this.take(message.step);
    else void this.#stop();
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  protected take({ metadata, expected, computed, finishedRequestIds }: Step): void {
    for (const contents of expected) {
      for (const blockId of contents.blockIds) this.#memory.poison(blockId);
      this.#expected.set(contents.requestId, contents);
    }
    this.#connector.acceptMetadata(metadata);
    this.#connector.startLoad(metadata.loads);
    this.#work = this.#work.then(async () => {
      for (const contents of computed) await this.compute(contents);
      for (const { requestId } of metadata.saves)
        this.#record({ type: 'save.submitted', atMs: wallTimeMs(), rank: this.#rank, requestId });
      this.#connector.save(metadata.saves);
      this.#sendOutput(
        finishedRequestIds,
        computed.map(({ requestId }) => requestId),
      );
    });
  }

  #sendOutput(finishedRequestIds: readonly string[], computed: readonly string[]): void {
    const { loaded, saved } = this.#connector.takeFinished(finishedRequestIds);
    const failedLoads = new Set(this.#connector.takeLoadErrors().map(({ requestId }) => requestId));
    for (const requestId of loaded) {
      const contents = this.#expected.get(requestId);
      this.#expected.delete(requestId);
      if (contents === undefined || failedLoads.has(requestId)) continue;
      this.verify(contents, 'loaded');
    }
    this.#sendCounts();
    const report = this.#connector.takeReport();
    const output = { rank: this.#rank, report, loaded, saved, failedLoads: [...failedLoads], computed };
    this.#channel.send({ type: 'output', output });
  }

  /** Fills the blocks with what the model would compute. */
  protected async compute({ blockIds, blockHashes }: BlockContents): Promise<void> {
    for (const [index, blockId] of blockIds.entries()) {
      const blockHash = blockHashes[index];
      if (blockHash !== undefined) this.#memory.fill(blockId, blockHash);
      await letOthersRun();
    }
  }

  protected verify({ requestId, blockIds, blockHashes }: BlockContents, moment: 'loaded' | 'finished'): void {
    const wrongBytes = blockIds.reduce((wrong, blockId, index) => {
      const blockHash = blockHashes[index];
      return blockHash === undefined ? wrong : wrong + this.#memory.countWrongBytes(blockId, blockHash);
    }, 0);
    const blocks = blockIds.length;
    const bytes = blocks * this.#memory.blockBytes;
    this.#record({
      type: 'blocks.verified',
      atMs: wallTimeMs(),
      rank: this.#rank,
      requestId,
      moment,
      blocks,
      bytes,
      wrongBytes,
    });
  }

  #sendCounts(): void {
    const { loads, saves, unsafeReleases } = this.#connector.stats;
    const quarantineEnds = this.#quarantineEnds();
    const counts = JSON.stringify([loads, saves, unsafeReleases, quarantineEnds]);
    if (counts === this.#lastCounts) return;
    this.#lastCounts = counts;
    this.#record({
      type: 'worker.counted',
      atMs: wallTimeMs(),
      rank: this.#rank,
      loads: { ...loads },
      saves: { ...saves },
      unsafeReleases,
      quarantineEnds,
    });
  }

  #quarantineEnds(): EventOf<'worker.counted'>['quarantineEnds'] {
    const ends = { ...this.#connector.quarantine('load').ended };
    for (const [end, count] of Object.entries(this.#connector.quarantine('save').ended)) {
      ends[end as keyof typeof ends] += count;
    }
    return ends;
  }

  #record(event: DemoEvent): void {
    this.#channel.send({ type: 'happened', event });
  }

  async #stop(): Promise<void> {
    await this.#work;
    const outcome = await this.#connector.stop();
    this.#channel.send({ type: 'stopped', complaint: complaintOf(outcome) });
  }
}

function complaintOf(outcome: WorkerStopOutcome): string | null {
  return outcome.kind === 'clean' ? null : `unconfirmed: ${outcome.requestIds.join(', ')}`;
}

/** Lets loads be polled and messages be read between two blocks. */
function letOthersRun(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Serves as this process's rank until its parent closes the channel. */
export function runWorker(create: (channel: WorkerChannel, start: WorkerStart) => WorkerHost): void {
  const channel = parentChannel<ToWorker, FromWorker>();
  let host: WorkerHost | null = null;
  channel.onMessage((message) => {
    if (message.type === 'start') host = create(channel, message);
    else host?.receive(message);
  });
  channel.onClosed(() => {
    host?.[Symbol.dispose]();
    void endHost();
  });
}
