/** The embedded engine as a process of its own; the address to listen at is the first argument. */
import { createEmulatedDriver } from '../../native-bindings/index.ts';
import { silentLog } from '../../src/engine/engine-log.ts';
import { startEngine } from '../../src/engine/index.ts';
import { monotonicMs } from '../statistics.ts';
import type { Listening } from './measured-server.ts';

/** More devices than any instance of the bench has ranks. */
const DEVICE_COUNT = 512;

process.once('disconnect', () => process.exit());
// A terminal's Ctrl-C reaches the whole process group; the bench itself ends its engines.
process.on('SIGINT', () => {});
const engine = await startEngine({
  addr: process.argv[2] ?? '127.0.0.1:0',
  httpAddr: null,
  driver: createEmulatedDriver({ deviceCount: DEVICE_COUNT }),
  hasCopyThreads: true,
  log: silentLog,
});
const listening: Listening = { address: engine.grpcAddress, atMs: monotonicMs() };
process.send?.(listening);
