import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../machines/index.ts';
import { SAVES_IN_FLIGHT_MAX, type SaveSource, Saves } from '../../../src/connector/transfers/saves.ts';
import type { SaveResponse } from '../../../src/gen/pegaflow/engine_pb.ts';
import type { EngineClient, ServerLink } from '../../../src/rpc/connection.ts';
import { StreamGate } from '../../../src/rpc/stream-gate.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { startEngine } from '../../support/story.ts';
import { TransferRecord } from '../../support/transfer-record.ts';
import { warmRank } from '../../support/warm-rank.ts';
import { eventually, within } from '../../support/within.ts';

const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
const UNSENT = IDS.slice(SAVES_IN_FLIGHT_MAX);
const rank = { instanceId: 'i', tpRank: 0, ppRank: 0, deviceId: 0, layers: [] };

/** A server that answers when it is told to. */
function silentServer() {
  const answers: (() => void)[] = [];
  const signals: AbortSignal[] = [];
  const client = {
    save: (_: unknown, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<SaveResponse>((resolve, reject) => {
        answers.push(() => resolve({} as SaveResponse));
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  } as unknown as EngineClient;
  const server = {
    call: (rpc: (client: EngineClient) => unknown) => rpc(client),
    link: { end: null, streams: new StreamGate() },
    watch: () => () => {},
  };
  return { server: server as unknown as ServerLink, answers, takenBack: () => signals.map(({ aborted }) => aborted) };
}

function saving(budgets = {}) {
  const saves = new Saves(budgetsFrom(budgets));
  const start = (server: ServerLink, requestId: string) => {
    const record = new TransferRecord();
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    saves.start(server, rank, { requestId, epoch, groupId: 0, blockIds: [0], blockHashes: [] }, record.events);
    return record;
  };
  return { saves, start };
}

describe('saves beyond those that may be in flight', () => {
  it('are sent when earlier ones are answered, in their order', async () => {
    const { server, answers } = silentServer();
    const { start } = saving();
    const records = IDS.map((requestId) => start(server, requestId));
    expect(answers.length).toBe(SAVES_IN_FLIGHT_MAX);
    for (let n = 0; n < IDS.length; n++) {
      answers[n]?.();
      await eventually(`the end of ${IDS[n]}`, () => (records[n]!.said.length > 0 ? true : null));
    }
    expect(records.flatMap(({ said }) => said)).toEqual(IDS.map(() => 'succeeded by answer'));
  });

  it('do not wait for what another link has not answered', () => {
    const { start } = saving();
    const [old, fresh] = [silentServer(), silentServer()];
    for (const requestId of IDS) start(old.server, requestId);
    for (const requestId of IDS) start(fresh.server, requestId);
    expect(fresh.answers.length).toBe(SAVES_IN_FLIGHT_MAX);
  });

  it('are given up when nobody wants them any more, of single requests or all; what was sent is not', () => {
    const { server, answers } = silentServer();
    const { saves, start } = saving();
    const records = IDS.map((requestId) => start(server, requestId));
    const [fifth, sixth] = UNSENT;
    const fault = { kind: 'unreachable', message: 'preempted' } as const;
    saves.withdraw(fault, new Set([sixth!, IDS[0]!]));
    expect(records.map(({ said }) => said)).toEqual([...IDS.slice(0, 5).map(() => []), ['failed by answer']]);
    saves.withdraw(fault);
    expect(records[IDS.indexOf(fifth!)]?.said).toEqual(['failed by answer']);
    expect(answers.length).toBe(SAVES_IN_FLIGHT_MAX);
  });

  it('are given up when they have waited for their budget', async () => {
    const { server, answers } = silentServer();
    const { start } = saving({ saveWaitTimeoutMs: 20 });
    const records = IDS.map((requestId) => start(server, requestId));
    await eventually('the end', () => (records[5]!.said.length > 0 ? true : null));
    expect(records.map(({ said }) => said.length)).toEqual([0, 0, 0, 0, 1, 1]);
    expect(answers.length).toBe(SAVES_IN_FLIGHT_MAX);
  });

  it('take the places of those whose blocks were handed back by time, which are taken back one by one', async () => {
    const { server, answers, takenBack } = silentServer();
    const { start } = saving({ unsafeReleaseAfterMs: 50, saveWaitTimeoutMs: 60_000 });
    const records = IDS.map((requestId) => start(server, requestId));
    await eventually('the sixth to be sent', () => (answers.length === IDS.length ? true : null));
    expect(takenBack()).toEqual([true, true, false, false, false, false]);
    const givenBack = records.slice(0, SAVES_IN_FLIGHT_MAX);
    await eventually('the time of all four', () =>
      givenBack.every(({ releases }) => releases.length > 0) ? true : null,
    );
    for (const answer of answers.slice(UNSENT.length)) answer();
    await eventually('the end of all', () => (records.every(({ outcomes }) => outcomes.length === 1) ? true : null));
    expect(records.map(({ said }) => said.at(-1))).toEqual([
      ...IDS.slice(0, SAVES_IN_FLIGHT_MAX).map(() => 'failed by unsafeRelease'),
      ...UNSENT.map(() => 'succeeded by answer'),
    ]);
  });

  it('are given up at once when none of those that were sent is answered for long, and wait again when one is', async () => {
    const { server, answers } = silentServer();
    const { saves, start } = saving({ transferStalledAfterMs: 50, saveWaitTimeoutMs: 60_000 });
    const records = IDS.map((requestId) => start(server, requestId));
    expect(saves.obstacleAt(server)).toBe(null);
    await eventually('the end of what waits', () => (records[5]!.said.length > 0 ? true : null));
    expect(records.map(({ said }) => said)).toEqual([
      ...IDS.slice(0, SAVES_IN_FLIGHT_MAX).map(() => ['inDoubt']),
      ...UNSENT.map(() => ['failed by answer']),
    ]);
    expect(saves.obstacleAt(server)?.message).toMatch(/^not sent: none of the saves under way was answered in 50 ms/);
    answers[0]?.();
    await eventually('the answer', () => (saves.obstacleAt(server) === null ? true : null));
    start(server, 'g');
    expect(answers.length).toBe(SAVES_IN_FLIGHT_MAX + 1);
  });

  it('let preemptions and the end of a link pass at once, while what was sent stays held', async () => {
    const engine = await startEngine();
    const { instance, worker } = await warmRank(engine, { budgets: { pingIntervalMs: 100, pingTimeoutMs: 500 } });
    await engine.fault({ copyDelayMs: 600_000 });
    for (const [n, requestId] of IDS.entries()) {
      instance.scheduler.scheduleSave({ requestId, blockIds: [n], blockHashes: hashesOf(1, requestId) });
      instance.finish(requestId);
    }
    const told = new Set(instance.step().saved);
    const toldAre = (requestIds: readonly string[]) =>
      eventually(`the end of ${requestIds.join()}`, () => {
        for (const requestId of instance.step().saved) told.add(requestId);
        return requestIds.every((requestId) => told.has(requestId)) ? true : null;
      });
    const [fifth, sixth] = UNSENT;
    await within(5_000, 'the preemption', worker.handlePreemptions([sixth!]));
    await toldAre([sixth!]);
    expect([...told]).toEqual([sixth]);
    engine.signal('SIGSTOP');
    await toldAre(UNSENT);
    expect([...told].toSorted()).toEqual([fifth, sixth]);
    expect(worker.quarantine('save').blocks).toBe(SAVES_IN_FLIGHT_MAX);
    engine.signal('SIGCONT');
  });
});

describe('the question how far the queue of saves is', () => {
  const source = { ...rank, layers: [{ name: 'layer' }] } as unknown as SaveSource;

  it('is taken back at its bound, so that a server that answers none holds none', async () => {
    const open = new Set<AbortSignal>();
    const save = (_: unknown, { signal }: { signal: AbortSignal }) => {
      open.add(signal);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          open.delete(signal);
          reject(signal.reason);
        });
      });
    };
    const server = { call: (rpc: (client: EngineClient) => unknown) => rpc({ save } as unknown as EngineClient) };
    const { saves } = saving();
    for (let i = 0; i < 3; i++) {
      const late = new AbortController();
      const asked = saves.follow(server as unknown as ServerLink, source, late.signal);
      expect(open.size).toBe(1);
      late.abort();
      expect(await asked).toBe(false);
    }
    expect(open.size).toBe(0);
  });

  it('is answered behind what was sent before', async () => {
    const { server, answers } = silentServer();
    const { saves } = saving();
    const asked = saves.follow(server, source, new AbortController().signal);
    answers[0]?.();
    expect(await asked).toBe(true);
  });
});
