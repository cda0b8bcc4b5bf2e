import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { listen } from '../../src/page/source.js';

/** Answers a request for the feed with these bytes, one at a time. */
function answerOf(text: string): Response {
  const bytes = new TextEncoder().encode(text);
  return new Response(ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte))));
}

/** What a page hears that is answered so, request by request, until the last answer has been read. */
async function heardFrom(...answers: readonly (() => Response)[]) {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  const left = [...answers];
  vi.stubGlobal('fetch', async () => left.shift()?.());
  const reported = vi.fn();
  vi.stubGlobal('reportError', reported);
  onTestFinished(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  const heard: unknown[] = [];
  const listening = listen('feed', {
    onRecord: (record) => {
      if ((record as { refused?: boolean }).refused) throw new Error('refused');
      heard.push(record);
    },
    onOpen: (isOpen) => {
      heard.push(isOpen ? 'open' : 'lost');
      // As if the time until the next request had passed.
      if (!isOpen) queueMicrotask(() => vi.runAllTimers());
    },
    onCaughtUp: () => heard.push('caught up'),
  });
  await listening;
  return { heard, reported };
}

const recorded = { type: 'header', isLive: false };
const text = (...records: readonly unknown[]) =>
  records.map((one) => `id: 1\ndata: ${JSON.stringify(one)}\n\n`).join('');
const caughtUp = 'event: caughtUp\ndata\n\n';

describe('a page', () => {
  it('reads its feed wherever the stream is cut, and past signs of life', async () => {
    const record = { words: 'für \u2028 data: {}' };
    const { heard } = await heardFrom(() => answerOf(`retry: 500\n${text(recorded)}:\n\n${text(record)}${caughtUp}`));
    expect(heard).toEqual(['open', recorded, record, 'caught up']);
  });

  it('asks again for a feed that broke off, that refuses, or that is away', async () => {
    const { heard } = await heardFrom(
      () => answerOf(`${text({ type: 'header', isLive: true })}${caughtUp}data: {"half`),
      () => new Response('too many readers', { status: 503 }),
      () => {
        throw new TypeError('network error');
      },
      () => answerOf(text(recorded) + caughtUp),
    );
    const live = { type: 'header', isLive: true };
    expect(heard).toEqual(['open', live, 'caught up', 'lost', 'lost', 'lost', 'open', recorded, 'caught up']);
  });

  it('reports a record that it cannot take, and takes those after it', async () => {
    const { heard, reported } = await heardFrom(() =>
      answerOf(text(recorded, { refused: true }, { type: 'gone' }) + caughtUp),
    );
    expect(heard).toEqual(['open', recorded, { type: 'gone' }, 'caught up']);
    expect(reported).toHaveBeenCalledOnce();
  });
});
