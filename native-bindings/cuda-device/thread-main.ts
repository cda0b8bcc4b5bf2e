/** The thread of one device: sets it once, then makes the calls that it is sent, in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { check } from '../cudart/check.ts';
import { cudaSuccess } from '../cudart/declarations.ts';
import { bindRuntime } from '../cudart/library.ts';
import type { ThreadReply, ThreadRequest, ThreadSetup } from './thread-messages.ts';

const { libraryPath, deviceId } = workerData as ThreadSetup;
const runtime = bindRuntime(libraryPath);
check(runtime, runtime.cudaSetDevice(deviceId), 'cudaSetDevice', `device ${deviceId}`);

parentPort?.on('message', (request: ThreadRequest) => {
  const call = runtime[request.name] as (...args: readonly unknown[]) => number;
  const code = call(...request.args);
  if (code !== cudaSuccess) runtime.cudaGetLastError();
  parentPort?.postMessage({ ...request, code } satisfies ThreadReply);
});
