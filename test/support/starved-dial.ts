/** Dials once while this process has no file descriptor left, and prints how that ended. Its limit is the caller's. */
import { openSync } from 'node:fs';
import { Link } from '../../src/rpc/link.ts';

const [endpoint = ''] = process.argv.slice(2);
const dial = () =>
  new Promise<object>((resolve) => {
    const options = { endpoint, pingIntervalMs: 60_000, pingTimeoutMs: 60_000 };
    new Link(options, { up: () => {}, draining: () => {}, down: resolve });
  });
// What is loaded at the first use takes descriptors too.
await dial();
try {
  for (;;) openSync('/dev/null', 'r');
} catch {
  process.send?.(await dial());
}
