import { hashesOf } from './engine-rank.ts';
import type { ServerProcess } from './server-process.ts';
import { connected, endpointOf, loadsTaken } from './story.ts';
import type { TestInstanceOptions } from './test-instance.ts';

/** What {@link warmRank} saves in blocks 0 to 2. */
export const warmHashes = hashesOf(3);

/**
 * A connected instance of one rank whose blocks 0 to 2 are filled from seeds 1 to 3 and saved. Request `loads` holds them
 * as a hit.
 */
export async function warmRank(engine: ServerProcess, options: TestInstanceOptions = {}) {
  const instance = await connected(endpointOf(engine), { worldSize: 1, ...options });
  const [memory] = instance.memory;
  const [worker] = instance.workers;
  if (!memory || !worker) throw new Error('no rank');
  for (const block of [0, 1, 2]) memory.fill(block, block + 1);
  await instance.save('kept', [0, 1, 2], warmHashes);
  await instance.hit('loads', warmHashes);
  await loadsTaken(engine, instance.workers.length);
  return { instance, memory, worker };
}
