import { Code } from '@connectrpc/connect';
import { eventually, within } from '../eventually.ts';
import { expect, rejectionOf } from '../expectation.ts';
import { type ItemGroup, LOST, UNKNOWN_LEASE } from '../item-suite.ts';
import { expectRefusal, hashesOf, hashOf, type Rank, ServerSession, uniqueId } from '../rank.ts';

/** Of a call that waits behind a held thread, which it must have reached by then on a busy machine too. */
const DEADLINE_MS = 2_000;

/** What was cancelled before on the same connection has reached the server when this is answered. */
const untilHeard = (rank: Rank) => rank.client.health({});

/** C16 to C19 and C21: with switches and signals. */
export const disturbances: ItemGroup = (suite) => {
  suite.controlTest(
    'C16 a result waits under its request id, whatever is asked with it',
    async ({ rank, control }) => {
      await rank.register();
      await rank.save([0, 1], hashesOf(2));
      await rank.visible(hashesOf(2));
      await control.fault({ answerLoading: 2 });
      const ask = async (reqId: string, blockHashes: Uint8Array[]) =>
        (await rank.client.queryPrefetch({ instanceId: rank.instanceId, reqId, blockHashes })).outcome;
      expect((await ask('a', hashesOf(2))).case).toBe('loading');
      expect((await ask('a', hashesOf(2))).case).toBe('loading');
      expect(await ask('a', hashesOf(1, 'other'))).toMatchObject({ case: 'ready', value: { numHitBlocks: 2n } });
      expect((await ask('a', hashesOf(2))).case).toBe('loading');
      await control.fault({ answerLoading: null });
      expect((await ask('b', hashesOf(2))).case).toBe('ready');
    },
    { hasRpcFaults: true },
  );

  suite.controlTest('C17 a restarted server has forgotten everything', async ({ rank, control, driver }) => {
    await rank.register();
    await rank.save([0], hashesOf(1));
    const { lease } = await rank.visible(hashesOf(1));
    control.signal('SIGKILL');
    await within(5000, 'the end of the server', control.exited);
    const next = suite.keep(await control.restart());
    const { client } = suite.open(next.endpoint);
    const again = suite.rankOf(driver, { instanceId: rank.instanceId, namespace: rank.namespace }, client);
    await (await again.load(lease, [0])).expectRefused(Code.FailedPrecondition, LOST);
    await expectRefusal(client.release({ lease }), Code.FailedPrecondition, UNKNOWN_LEASE);
    await again.register();
    await (await again.load(lease, [0])).expectRefused(Code.Internal, UNKNOWN_LEASE);
    expect((await again.query(hashesOf(1))).numHitBlocks).toBe(0n);
  });

  suite.controlTest(
    'C18 a draining server waits for the session and serves nobody new',
    async ({ rank, control, target: own }) => {
      const session = await ServerSession.open(rank.client, rank.instanceId);
      await rank.register();
      control.signal('SIGINT');
      const late = suite.open(own.endpoint);
      await eventually('the drain to begin', async () => {
        const answer = suite.open(own.endpoint).client.health({}, { timeoutMs: 100 });
        return answer.then(
          () => null,
          () => true,
        );
      });
      await rejectionOf(late.client.health({}, { timeoutMs: 100 }));
      expect((await suite.http('GET', '/health', own.httpEndpoint)).status).toBe(200);
      expect(control.isRunning).toBe(true);
      session.end();
      expect(await within(5000, 'the server to end', control.exited)).toBe(0);
    },
  );

  suite.controlTest('C18 the Shutdown RPC drains in the same way', async ({ rank, control }) => {
    const session = await ServerSession.open(rank.client, rank.instanceId);
    expect(await rank.client.shutdown({})).toMatchObject({ status: { ok: true } });
    expect(control.isRunning).toBe(true);
    session.end();
    expect(await within(5000, 'the server to end', control.exited)).toBe(0);
  });

  suite.controlTest(
    'C19 a stuck registration thread holds up registrations and nothing else',
    async ({ rank, control, target: own }) => {
      await control.fault({ methods: { registerContextBatch: { hang: true, times: 1 } } });
      const register = rank.register();
      await control.taken('registerContextBatch');
      const unregister = rank.client.unregisterContext({ instanceId: rank.instanceId });
      const isSettled = Promise.race([register, unregister]).then(
        () => true,
        () => true,
      );
      for (let i = 0; i < 20; i++) await rank.client.health({});
      expect((await suite.http('GET', '/health', own.httpEndpoint)).text).toBe('ok');
      await expectRefusal(rank.save([], []), Code.FailedPrecondition, LOST);
      expect(await Promise.race([isSettled, rank.client.health({}).then(() => false)])).toBe(false);
      await control.fault({ methods: { registerContextBatch: null } });
      await within(5000, 'the registration', register);
      await within(5000, 'the unregistration', unregister);
    },
  );

  suite.controlTest(
    'C21 a deadline on Register leaves a zombie context, which Unregister clears',
    async ({ rank, control }) => {
      await control.fault({ methods: { registerContextBatch: { hang: true, times: 1 } } });
      await rejectionOf(rank.client.registerContextBatch(rank.registration(), { timeoutMs: DEADLINE_MS }));
      await untilHeard(rank);
      await control.fault({ methods: { registerContextBatch: null } });
      await expectRefusal(rank.register(), Code.Internal, /already registered$/);
      await expectRefusal(rank.save([], []), Code.FailedPrecondition, LOST);
      const { instanceId } = rank;
      await expectRefusal(rank.client.unregisterContext({ instanceId }), Code.FailedPrecondition, LOST);
      await rank.register();
    },
  );

  suite.controlTest(
    'C21 a deadline on Unregister leaves a headless instance, which looks healthy',
    async ({ rank, control }) => {
      const { instanceId } = rank;
      await rank.register();
      await rank.save([1], hashesOf(1));
      const { lease } = await rank.visible(hashesOf(1));
      await control.fault({ methods: { unregisterContext: { hang: true, times: 1 } } });
      await rejectionOf(rank.client.unregisterContext({ instanceId }, { timeoutMs: DEADLINE_MS }));
      await untilHeard(rank);
      await control.fault({ methods: { unregisterContext: null } });
      await eventually('the mappings to be dropped', () =>
        rank.save([0], [hashOf(uniqueId())]).then(
          () => null,
          () => true,
        ),
      );
      await rank.save([], []);
      await expectRefusal(rank.save([0], [hashOf('new')]), Code.Internal, /^storage error: /);
      expect(await (await rank.load(lease, [0])).end()).toBe(-1);
      await expectRefusal(rank.register(), Code.InvalidArgument, /already exists/);
      await rank.client.unregisterContext({ instanceId });
      await rank.register();
      await rank.save([0], [hashOf('new')]);
    },
  );
};
