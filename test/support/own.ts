/** What a test opens is given back when it is over, whether it passed or not; the newest first. */
import { onTestFinished } from 'vitest';

export function own<T extends AsyncDisposable | Disposable>(resource: T): T {
  atEnd(() => (Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose]()));
  return resource;
}

/** For what does not dispose of itself. */
export function atEnd(giveBack: () => unknown): void {
  onTestFinished(async () => {
    await giveBack();
  });
}
