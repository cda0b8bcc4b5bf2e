import { publicEndpoint } from '../redacted.ts';
import type { KvCacheLayer } from './kv-caches.ts';

export interface LayoutOwner {
  readonly endpoint: string;
  readonly namespace: string;
  readonly instanceId: string;
  readonly tpRank: number;
  readonly tpSize: number;
  readonly ppRank?: number;
}

interface Claim {
  readonly layout: string;
  readonly instanceId: string;
}

/**
 * The layout of blocks that this process first registered, by server, namespace and place of the rank. Kept for the life of the
 * process: what was saved in that layout stays at the server when its connector has stopped.
 */
const claims = new Map<string, Claim>();

/**
 * Throws an Error where this process has registered another layout of blocks in the same namespace at the same server. A server
 * compares how many slots a block has, not how large they are: a load in one layout of what was saved in another reads past the
 * end of a slot.
 */
export function claimLayout(owner: LayoutOwner, layers: readonly KvCacheLayer[]): void {
  const { endpoint, namespace, instanceId, tpRank, tpSize, ppRank = 0 } = owner;
  const key = JSON.stringify([endpoint.replace(/\/$/, ''), namespace, tpRank, ppRank]);
  const layout = describeLayout(tpSize, layers);
  const claim = claims.get(key);
  if (claim === undefined) claims.set(key, { layout, instanceId });
  else if (claim.layout !== layout) {
    throw new Error(
      `namespace "${namespace}" at ${publicEndpoint(endpoint)} holds blocks of another layout: ${claim.layout} (instance ${claim.instanceId}), and now ${layout}: give each layout a namespace of its own`,
    );
  }
}

/** What decides which slot a layer's bytes go to, and how many there are. Runs of equal layers are written once. */
function describeLayout(tpSize: number, layers: readonly KvCacheLayer[]): string {
  const sorted = layers.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const runs: { shape: string; count: number }[] = [];
  for (const { segments, bytesPerBlock, groupId = 0 } of sorted) {
    const shape = `${segments} × ${bytesPerBlock} bytes${groupId === 0 ? '' : ` in group ${groupId}`}`;
    const last = runs.at(-1);
    if (last?.shape === shape) last.count += 1;
    else runs.push({ shape, count: 1 });
  }
  return `${runs.map(({ shape, count }) => `${count} layers of ${shape}`).join(', ')}, tpSize ${tpSize}`;
}
