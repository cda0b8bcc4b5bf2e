import { Code, ConnectError } from '@connectrpc/connect';
import { expect, it } from 'vitest';
import { budgetsFrom } from '../../../../machines/index.ts';
import { LoadState } from '../../../../native-bindings/index.ts';
import { Loads } from '../../../../src/connector/transfers/loads.ts';
import { ioFirstTimer } from '../../../../src/io-first-timer.ts';
import type { EngineClient, ServerLink } from '../../../../src/rpc/connection.ts';
import { RpcError } from '../../../../src/rpc/rpc-error.ts';
import { TransferRecord } from '../../../support/transfer-record.ts';
import { eventually } from '../../../support/within.ts';

const budgets = budgetsFrom({ settleMs: 100 });
const target = { instanceId: 'a', tpRank: 0, deviceId: 0, layers: [] };
const intent = { requestId: 'loads', epoch: { schedulerBootId: 'boot', counter: 1 }, leases: [] };

it('S-49: a refusal that arrived during a stall is heard before a failed record is taken for a failed copy', async () => {
  const answer = Promise.withResolvers<never>();
  const link = { end: null, isDraining: false };
  let recordName = '';
  const load = (request: { loadStateShm: string }) => {
    recordName = request.loadStateShm;
    return answer.promise;
  };
  const call = (rpc: (client: EngineClient) => Promise<unknown>) => rpc({ load } as unknown as EngineClient);
  const server = { link, call, watch: () => () => {} } as unknown as ServerLink;
  const record = new TransferRecord();
  const loads = new Loads(budgets);
  loads.start(server, target, intent, record.events);
  const said = new ConnectError('storage error: query lease is unknown or expired', Code.Internal);
  said.metadata.set('grpc-status', `${Code.Internal}`);
  const refusal = new RpcError(said, link);
  const attached = LoadState.attach(recordName);
  attached.signal(-1);
  attached[Symbol.dispose]();
  // After such a stall the loop runs the timers that are due, then it reads what has arrived.
  const stall = () => {
    const untilMs = performance.now() + 2 * budgets.settleMs;
    while (performance.now() < untilMs);
    setImmediate(() => answer.reject(refusal));
  };
  setTimeout(() => setImmediate(stall), budgets.settleMs / 2);
  await eventually('the end', () => (record.outcomes.length > 0 ? true : null));
  expect(record.said).toEqual(['refused: forgotten', 'failed by answer']);
});

it('a load whose record says that it is over ends once, also where its registration is proved to be gone in that moment', async () => {
  let recordName = '';
  const load = ({ loadStateShm }: { loadStateShm: string }) => {
    recordName = loadStateShm;
    return new Promise<never>(() => {});
  };
  const call = (rpc: (client: EngineClient) => Promise<unknown>) => rpc({ load } as unknown as EngineClient);
  const server = { link: { end: null }, call, watch: () => () => {} } as unknown as ServerLink;
  const record = new TransferRecord();
  const loads = new Loads(budgets);
  loads.start(server, target, intent, record.events);
  const attached = LoadState.attach(recordName);
  attached.signal(1);
  attached[Symbol.dispose]();
  const [transfer] = loads.transfers;
  loads.proveOver(transfer!);
  loads.proveOver(transfer!);
  expect(record.said).toEqual(['succeeded by record']);
  // Whatever would still look at the record has a timer as long that began before; it finds that it is gone, and throws.
  await new Promise<void>((resolve) => ioFirstTimer(budgets.settleMs, resolve));
  expect(record.said).toEqual(['succeeded by record']);
});
