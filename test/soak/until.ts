import { setTimeout as pause } from 'node:timers/promises';

const POLL_INTERVAL_MS = 10;

/** Asks until the answer is yes, or rejects after `limitMs` milliseconds, naming what did not happen. */
export async function until(what: string, limitMs: number, ask: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!ask()) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${limitMs} ms for ${what}`);
    await pause(POLL_INTERVAL_MS);
  }
}
