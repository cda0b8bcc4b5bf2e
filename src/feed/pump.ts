import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { History } from './history/history.ts';
import type { FeedRecord } from './record.ts';

/** How records are written to a stream. */
export interface Encoding {
  /** `number` is `null` for what tells where things stood before the first record. */
  record(record: FeedRecord, number: number | null): string;
  /** Written once, when the reader has caught up. */
  readonly caughtUp: string;
}

/** Records that are written in one go: few enough to keep the event loop free between two. */
const RECORDS_AT_A_TIME = 500;

/**
 * Writes a feed's records to a stream as fast as it takes them, until the feed ends (`ended`), the stream is gone
 * (`closed`), or it took them so slowly that some were dropped (`fellBehind`). Never rejects, and does not end the stream.
 */
export async function pump(
  history: History,
  stream: Writable,
  encoding: Encoding,
): Promise<'ended' | 'closed' | 'fellBehind'> {
  const closed = new AbortController();
  const close = () => closed.abort();
  stream.once('close', close);
  stream.once('error', close);
  try {
    let next = history.first;
    let hasCaughtUp = false;
    await write(stream, history.opening.map((record) => encoding.record(record, null)).join(''), closed.signal);
    while (!closed.signal.aborted) {
      const records = history.read(next, RECORDS_AT_A_TIME);
      if (records === null) return 'fellBehind';
      const text = records.map(({ record, number }) => encoding.record(record, number)).join('');
      next = (records.at(-1)?.number ?? next - 1) + 1;
      if (records.length > 0) await write(stream, text, closed.signal);
      else if (history.isEnded) return 'ended';
      else if (hasCaughtUp) await changeOrEnd(history, closed.signal);
      else {
        hasCaughtUp = true;
        await write(stream, encoding.caughtUp, closed.signal);
      }
      // What happens in one turn of the event loop is written together.
      await nextTurn();
    }
  } catch (error) {
    if (!closed.signal.aborted) throw error;
  } finally {
    stream.off('close', close);
    stream.off('error', close);
  }
  return 'closed';
}

async function write(stream: Writable, text: string, signal: AbortSignal): Promise<void> {
  if (text === '' || signal.aborted) return;
  if (!stream.write(text)) await once(stream, 'drain', { signal });
}

async function changeOrEnd(history: History, signal: AbortSignal): Promise<void> {
  const gone = Promise.withResolvers<void>();
  const resolve = () => gone.resolve();
  signal.addEventListener('abort', resolve, { once: true });
  await Promise.race([history.changed(), gone.promise]);
  signal.removeEventListener('abort', resolve);
}
