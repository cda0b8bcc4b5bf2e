/**
 * What happened in a run, as plain data: the processes of the demo write it, the report and the oracle are computed
 * from it. All times are wall-clock milliseconds with a fraction (`wallTimeMs`), so that processes can be compared.
 */

import type { TransferEnd } from '../connector/index.ts';

/** How the engine is stopped: SIGKILL and an outage, SIGKILL and back at once, or SIGINT and a drain. */
export type StopKind = 'kill' | 'kill at once' | 'graceful';

export type QueryResult = 'hit' | 'loading' | 'miss';

/** Running totals of one worker, as its connector counts them. */
export interface TransferCounts {
  readonly succeeded: number;
  readonly failed: number;
  readonly refused: number;
}

export type DemoEvent =
  | { readonly type: 'engine.listening'; readonly atMs: number; readonly pid: number }
  | {
      readonly type: 'engine.stopped';
      readonly atMs: number;
      readonly kind: StopKind;
      /** From the stop to the start of the next engine; 0 for `kill at once`. */
      readonly outageMs: number;
    }
  /** It was ended with the run. */
  | { readonly type: 'engine.exited'; readonly atMs: number; readonly pid: number }
  | {
      readonly type: 'status.changed';
      readonly atMs: number;
      /** `scheduler` or `rank <n>`. */
      readonly machine: string;
      /** Dotted: `reconnecting.dialing`. */
      readonly path: string;
      readonly fault: string | null;
    }
  | { readonly type: 'request.arrived'; readonly atMs: number; readonly requestId: string; readonly blocks: number }
  | { readonly type: 'query.sent'; readonly atMs: number; readonly requestId: string; readonly queryId: number }
  | {
      readonly type: 'query.answered';
      readonly atMs: number;
      readonly requestId: string;
      readonly queryId: number;
      readonly result: QueryResult;
      /** Blocks of the hit; 0 otherwise. */
      readonly blocks: number;
      /** Why it was a miss; `null` otherwise. */
      readonly reason: string | null;
    }
  | { readonly type: 'hit.released'; readonly atMs: number; readonly requestId: string }
  | { readonly type: 'load.scheduled'; readonly atMs: number; readonly requestId: string; readonly blocks: number }
  | { readonly type: 'load.refused'; readonly atMs: number; readonly requestId: string }
  | { readonly type: 'load.ended'; readonly atMs: number; readonly requestId: string; readonly succeeded: boolean }
  | {
      readonly type: 'save.scheduled';
      readonly atMs: number;
      readonly requestId: string;
      /** Where in the request's blocks the saved ones lie. */
      readonly positions: readonly number[];
    }
  /** A rank has the blocks full and handed them to its connector. */
  | { readonly type: 'save.submitted'; readonly atMs: number; readonly rank: number; readonly requestId: string }
  /** The save has ended on every rank, if there was one. */
  | { readonly type: 'save.ended'; readonly atMs: number; readonly requestId: string }
  | { readonly type: 'request.finished'; readonly atMs: number; readonly requestId: string; readonly held: boolean }
  | { readonly type: 'request.freed'; readonly atMs: number; readonly requestId: string }
  | {
      readonly type: 'blocks.verified';
      readonly atMs: number;
      readonly rank: number;
      readonly requestId: string;
      /** When they had been loaded, or when their request finished. */
      readonly moment: 'loaded' | 'finished';
      readonly blocks: number;
      readonly bytes: number;
      readonly wrongBytes: number;
    }
  /** Blocks were handed back while the server may still touch them. */
  | {
      readonly type: 'blocks.releasedUnsafely';
      readonly atMs: number;
      readonly rank: number;
      readonly requestId: string;
      readonly kind: 'load' | 'save';
      readonly blockIds: readonly number[];
      /** Since the load or save began. */
      readonly ageMs: number;
      readonly reason: string;
    }
  | {
      readonly type: 'worker.counted';
      readonly atMs: number;
      readonly rank: number;
      readonly loads: TransferCounts;
      readonly saves: TransferCounts;
      /** Transfers whose blocks were handed back without proof that the server is done with them. */
      readonly unsafeReleases: number;
      /** Transfers that were in quarantine, by what ended them. */
      readonly quarantineEnds: Readonly<Record<TransferEnd, number>>;
    };

export type EventOf<Type extends DemoEvent['type']> = Extract<DemoEvent, { readonly type: Type }>;

/** The events of one type, in the order in which they were written down. */
export function eventsOf<Type extends DemoEvent['type']>(events: readonly DemoEvent[], type: Type): EventOf<Type>[] {
  return events.filter((event): event is EventOf<Type> => event.type === type);
}
