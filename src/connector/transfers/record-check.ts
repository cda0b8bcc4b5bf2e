import { type Budgets, type Fault, faultFrom } from '../../../machines/index.ts';
import { LoadState } from '../../../native-bindings/index.ts';
import type { RankIdentity } from '../../actors/verify.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { ServerLink } from '../../rpc/connection.ts';

/**
 * A load of nothing, which copies nothing, takes no lease and leaves no warning in the log of a server where the instance is sealed.
 * Resolves with why its record, and so that of every other load, is out of the server's reach; `null`: it is not, or nobody said.
 */
export async function recordFault(
  server: ServerLink,
  { instanceId, tpRank, deviceId }: RankIdentity,
  budgets: Budgets,
): Promise<Fault | null> {
  const late = new AbortController();
  const cancel = ioFirstTimer(budgets.recordCheckTimeoutMs, () => late.abort());
  let record: LoadState | undefined;
  try {
    record = LoadState.create();
    const load = { instanceId, tpRank, deviceId, loadStateShm: record.name, groups: [{ layerNames: [] }] };
    await server.call((client) => client.load(load, { signal: late.signal }));
    return null;
  } catch (error) {
    const fault = faultFrom(error);
    return record === undefined || fault.isOfRecord ? fault : null;
  } finally {
    cancel();
    record?.[Symbol.dispose]();
  }
}
