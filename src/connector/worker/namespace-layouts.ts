import { publicEndpoint } from '../../redacted.ts';
import type { KvCacheLayer } from '../kv-caches.ts';

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
  /** Connectors that have registered it and have not stopped. */
  holders: number;
}

/** The layout of blocks that connectors of this process register, by server, namespace and place of the rank. */
const claims = new Map<string, Claim>();

/**
 * Throws an Error where a connector of this process registers another layout of blocks in the same namespace at the same server.
 * A server compares how many slots a block has, not how large they are: a load in one layout of what was saved in another reads
 * past the end of a slot. The function that it returns ends the claim; call it once the connector has stopped.
 */
export function claimLayout(owner: LayoutOwner, layers: readonly KvCacheLayer[]): () => void {
  const { endpoint, namespace, instanceId, tpRank, tpSize, ppRank = 0 } = owner;
  const key = JSON.stringify([serverOf(endpoint), namespace, tpRank, ppRank]);
  const layout = describeLayout(tpSize, layers);
  const claim = claims.get(key) ?? { layout, instanceId, holders: 0 };
  if (claim.layout !== layout) {
    throw new Error(
      `namespace "${namespace}" at ${publicEndpoint(endpoint)} holds blocks of another layout: ${claim.layout} (instance ${claim.instanceId}), and now ${layout}: give each layout a namespace of its own`,
    );
  }
  claim.holders += 1;
  claims.set(key, claim);
  return () => {
    claim.holders -= 1;
    if (claim.holders === 0) claims.delete(key);
  };
}

/** One name for each server, as far as endpoints alone can tell. */
function serverOf(endpoint: string): string {
  const { hostname, port } = new URL(endpoint);
  return `${LOOPBACK_NAMES.includes(hostname) ? 'localhost' : hostname}:${port || 80}`;
}

/** All of them this host, and as a rule the same server at one port. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

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
