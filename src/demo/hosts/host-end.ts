import { within } from '../deadline.ts';

/** How long what is done at the end of a host may take, in milliseconds. */
const END_TIMEOUT_MS = 1_500;

const finishers: (() => Promise<void>)[] = [];

/** Has `finish` run before this process ends by {@link endHost}. */
export function beforeHostEnds(finish: () => Promise<void>): void {
  finishers.push(finish);
}

/** Ends this process, at the latest a moment later. */
export async function endHost(): Promise<void> {
  await within(END_TIMEOUT_MS, Promise.allSettled(finishers.map((finish) => finish())), null);
  process.exit();
}
