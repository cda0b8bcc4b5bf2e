import type { UnaryRequest, UnaryResponse } from '@connectrpc/connect';
import { budgetsFrom } from '../../machines/index.ts';
import { Engine } from '../../src/gen/pegaflow/engine_pb.ts';
import { schedulerTelemetry } from '../../src/telemetry/connector-telemetry.ts';
import { EventTimes } from '../../src/telemetry/event-times.ts';
import { type Figure, figureFrom } from '../figure.ts';

export interface TelemetryOptions {
  /** Samples, each the mean over one batch. */
  readonly batches: number;
  readonly progress: (text: string) => void;
}

/** Calls of one batch: enough for the accounting of CPU time. */
const BATCH = 5_000;

/**
 * What a query pays in CPU time for its span, its duration and its count where no SDK is registered: with them, less
 * without.
 */
export async function measureTelemetry({ batches, progress }: TelemetryOptions): Promise<Figure[]> {
  progress('telemetry without an SDK');
  const { interceptor, observer } = schedulerTelemetry({
    endpoint: 'http://127.0.0.1:50055',
    instanceId: 'bench',
    budgets: budgetsFrom(),
    times: new EventTimes(),
  });
  const method = Engine.method.queryPrefetch;
  const request = { stream: false, method, message: {}, header: new Headers() } as unknown as UnaryRequest;
  const answer = {} as UnaryResponse;
  const bare = () => Promise.resolve(answer);
  const told = interceptor(bare);
  const query = async (ask: (request: UnaryRequest) => Promise<unknown>) => {
    await ask(request);
  };
  const batch = async (work: () => Promise<void>) => {
    const { user, system } = process.cpuUsage();
    for (let call = 0; call < BATCH; call += 1) await work();
    const spent = process.cpuUsage({ user, system });
    return (spent.user + spent.system) / BATCH;
  };
  const withTelemetry = async () => {
    await query(told);
    observer.queried({ kind: 'miss', reason: 'notCached' });
  };
  const added: number[] = [];
  for (let done = -batches; done < batches; done += 1) {
    const floorUs = await batch(() => query(bare));
    const productUs = await batch(withTelemetry);
    if (done >= 0) added.push(productUs - floorUs);
  }
  const target = { of: 'value', atMost: 1 } as const;
  return [figureFrom({ name: 'added to a query, no SDK', unit: 'µs', product: added, target })];
}
