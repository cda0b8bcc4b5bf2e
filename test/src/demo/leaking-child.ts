/** Holds what the demo must not leave behind, tells its port, and waits to be killed. */
import { createServer } from 'node:net';
import { createEmulatedDriver, LoadState } from '../../../native-bindings/index.ts';

const held = [createEmulatedDriver().allocate(0, 4_096), LoadState.create()];
const server = createServer().listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ held: held.length, port: typeof address === 'object' ? address?.port : null });
});
