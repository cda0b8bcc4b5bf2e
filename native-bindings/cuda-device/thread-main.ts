/** The thread of one device: sets it before the first of the calls that it is sent, which it makes in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { cudaSuccess } from '../cudart/declarations.ts';
import { bindRuntime } from '../cudart/library.ts';
import type { ThreadReply, ThreadRequest, ThreadSetup } from './thread-messages.ts';

const { libraryPath, deviceId } = workerData as ThreadSetup;
const runtime = bindRuntime(libraryPath);
let isDeviceSet = false;

parentPort?.on('message', (request: ThreadRequest) => {
  const refused = setDevice(request);
  parentPort?.postMessage(refused ?? answerTo(request));
});

/** @returns the answer to whatever was asked, if the device cannot be set */
function setDevice(request: ThreadRequest): ThreadReply | null {
  if (isDeviceSet) return null;
  const reply = answerTo({ ...request, name: 'cudaSetDevice', args: [deviceId] });
  isDeviceSet = reply.code === cudaSuccess;
  return isDeviceSet ? null : reply;
}

function answerTo(request: ThreadRequest): ThreadReply {
  const call = runtime[request.name] as (...args: readonly unknown[]) => number;
  const code = call(...request.args);
  if (code !== cudaSuccess) runtime.cudaGetLastError();
  return { ...request, code };
}
