/** What crosses between the processes of the demo. Workers and scheduler speak as vLLM's do, the parent as a client. */

import type { Announcement, RankReport } from '../../../machines/index.ts';
import type { ConnectorMetadata } from '../../connector/index.ts';
import type { DeviceKind } from '../../device-kind.ts';
import type { FeedRecord } from '../../feed/record.ts';
import type { DemoEvent } from '../journal.ts';
import type { KvLayout, RankLayout } from '../model/models.ts';

export interface ServerIdentity {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  readonly instanceId: string;
  readonly namespace: string;
}

/** Parent to scheduler host. */
export type ToScheduler =
  | {
      readonly type: 'start';
      readonly server: ServerIdentity;
      readonly layout: KvLayout;
      readonly device: DeviceKind;
      /** Whether every transition of every machine is sent back. */
      readonly transitions: boolean;
      /** Whether what the machines do is sent back as records of a feed. */
      readonly fed: boolean;
    }
  | { readonly type: 'request'; readonly requestId: string; readonly blockHashes: readonly Uint8Array[] }
  | { readonly type: 'stop' };

/** Scheduler host to parent. */
export type FromScheduler =
  /** The processes of all ranks, in their order: at the start, and when one was replaced. */
  | { readonly type: 'started'; readonly pids: readonly number[] }
  | { readonly type: 'happened'; readonly event: DemoEvent }
  | { readonly type: 'transition'; readonly line: string }
  | { readonly type: 'fed'; readonly record: FeedRecord }
  /** Of what the run can do without. */
  | { readonly type: 'warned'; readonly warning: string }
  /** A worker ended that nobody had stopped. */
  | { readonly type: 'failed'; readonly reason: string }
  /** `complaint` is `null` after a clean stop. */
  | { readonly type: 'stopped'; readonly complaint: string | null };

/** Blocks of one request and what they hold, parallel lists. */
export interface BlockContents {
  readonly requestId: string;
  readonly blockIds: readonly number[];
  readonly blockHashes: readonly Uint8Array[];
}

/** One step of the scheduler, the same for every rank. */
export interface Step {
  readonly metadata: ConnectorMetadata;
  /** What the loads in `metadata` must bring. */
  readonly expected: readonly BlockContents[];
  /** Blocks whose content the model computes now; their saves in `metadata` follow when they are full. */
  readonly computed: readonly BlockContents[];
  /** Requests that the scheduler has finished since the last step. */
  readonly finishedRequestIds: readonly string[];
}

/** Scheduler host to worker host. */
export type ToWorker =
  | {
      readonly type: 'start';
      readonly server: ServerIdentity;
      readonly rank: RankLayout;
      readonly worldSize: number;
      readonly device: DeviceKind;
      readonly transitions: boolean;
      readonly fed: boolean;
    }
  | { readonly type: 'announce'; readonly announcement: Announcement }
  | { readonly type: 'step'; readonly step: Step }
  | { readonly type: 'stop' };

/** What a rank has to say: part of every message, as in vLLM's worker output. */
export interface RankOutput extends RankEnds {
  readonly rank: number;
  readonly report: RankReport;
}

/** What has ended on one rank, by request. */
export interface RankEnds {
  readonly loaded: readonly string[];
  readonly saved: readonly string[];
  readonly failedLoads: readonly string[];
  /** Requests whose `computed` blocks are full. */
  readonly computed: readonly string[];
}

/** Worker host to scheduler host. */
export type FromWorker =
  | { readonly type: 'output'; readonly output: RankOutput }
  | { readonly type: 'report'; readonly report: RankReport }
  | { readonly type: 'happened'; readonly event: DemoEvent }
  | { readonly type: 'transition'; readonly line: string }
  | { readonly type: 'fed'; readonly record: FeedRecord }
  | { readonly type: 'stopped'; readonly complaint: string | null };
