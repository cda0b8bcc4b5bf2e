import { setTimeout as pause } from 'node:timers/promises';
import { NotKeptError } from './expectation.ts';

const POLL_INTERVAL_MS = 1;

/** Asks again until the answer is not `null`. */
export async function eventually<Value>(
  what: string,
  ask: () => Value | null | Promise<Value | null>,
  budgetMs = 5_000,
): Promise<Value> {
  const deadlineMs = performance.now() + budgetMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadlineMs) throw new NotKeptError(`waited ${budgetMs} ms for ${what}`);
    await pause(POLL_INTERVAL_MS);
  }
}

/** `work`, unless it takes longer. */
export async function within<Value>(budgetMs: number, what: string, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NotKeptError(`waited ${budgetMs} ms for ${what}`)), budgetMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
