import type { StreamRequest, UnaryRequest } from '@connectrpc/connect';
import { Engine, type QueryRequest, type SaveRequest } from '../gen/pegaflow/engine_pb.ts';

/** No instance has so many storage groups: asking for it tells how far the registration is, and touches nothing. */
export const PROBE_GROUP = 0xffff_ffff;

/**
 * Calls by which an instance comes into service and stays there: they do not wait behind loads, saves and queries. A probe is a
 * query, and the check of a registration a save of nothing.
 */
export function isVital({ method, message }: UnaryRequest | StreamRequest): boolean {
  if (method === Engine.method.queryPrefetch) return (message as QueryRequest).groupId === PROBE_GROUP;
  if (method === Engine.method.save)
    return (message as SaveRequest).saves.every(({ blockIds }) => blockIds.length === 0);
  return method !== Engine.method.load && method !== Engine.method.release;
}
