import { describe, expect, it } from 'vitest';
import {
  type Fault,
  FaultError,
  pathFrom,
  type RankReport,
  type SchedulerEvent,
  schedulerMachine,
} from '../../machines/index.ts';
import { delaysUsedIn } from '../support/machine-structure.ts';
import { budgets, gone, notFound, schedulerHarness, sealed } from './scheduler-harness.ts';

describe('scheduler machine', () => {
  it('reaches connected by session, clear, announcement, seal and read-back, in that order', async () => {
    const h = schedulerHarness();
    expect(h.path()).toBe('reconnecting.dialing');
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.openingSession');
    await h.script.answer('openSession');
    expect(h.path()).toBe('reRegistering.quiescing');
    for (const rank of [0, 1]) h.report(rank, { outcome: 'pending' });
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    await h.script.answer('clear', { tookMs: 1 });
    expect(h.path()).toBe('reRegistering.announcing');
    expect(h.context().announcement).toEqual({
      epoch: { schedulerBootId: 'boot', counter: 1 },
      action: 'register',
      number: 2,
      serverVersion: '0.25.1',
    });
    h.deliver();
    h.report(0);
    expect(h.path()).toBe('reRegistering.sealing.waiting');
    h.report(1);
    expect(h.path()).toBe('reRegistering.readingBack');
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
    expect(h.script.started).toEqual(['openSession', 'survey', 'clear', 'survey']);
  });

  it('an instance is published as connected only after the server said sealed and every rank’s current boot confirmed its own registration in that epoch', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0);
    h.report(1, { epoch: { schedulerBootId: 'boot', counter: 0 } });
    expect(h.path()).toBe('reRegistering.sealing.waiting');
    h.report(1, { epoch: { schedulerBootId: 'another', counter: 1 } });
    expect(h.path()).toBe('reRegistering.sealing.waiting');
    h.report(1, { outcome: 'pending' });
    expect(h.path()).toBe('reRegistering.sealing.waiting');
    h.report(1);
    expect(h.path()).toBe('reRegistering.readingBack');
    await h.script.answer('survey', { kind: 'incomplete', registered: 1, expected: 2 });
    expect(h.path()).not.toContain('connected');
    expect(h.actor.getSnapshot().hasTag('cacheUsable')).toBe(false);
  });

  it('the session is open before anything is asked or registered (S-14)', async () => {
    const h = schedulerHarness();
    h.script.tell({ type: 'link.opened' });
    expect(h.script.started).toEqual(['openSession']);
    await h.script.fail('openSession', new FaultError({ kind: 'unreachable', message: 'reset' }));
    expect(h.path()).toBe('reconnecting.waiting');
    expect(h.script.openLinks).toBe(0);
    expect(h.script.started).toEqual(['openSession']);
  });

  it('nothing is kept that this scheduler did not publish itself (S-58)', async () => {
    const h = schedulerHarness();
    h.report(0);
    h.report(1);
    await h.toSession();
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    expect(h.script.started).not.toContain('survey');
  });

  it('nothing is kept after the death of the process that held it', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.actor.send({ type: 'server.died' });
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    await h.toSession();
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('a refused dial says that nobody listens, and nothing else: what is still there is kept', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
    h.script.clock.tick(budgets.redialMaxMs);
    await h.toSession();
    expect(h.path()).toBe('reRegistering.surveying');
    await h.script.answer('survey', sealed);
    expect(h.context().announcement.action).toBe('keep');
  });

  it('the ranks are told to look for the server as soon as there is one', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.tell({ type: 'link.opened' });
    expect(h.context().announcement).toEqual({
      epoch: { schedulerBootId: 'boot', counter: 1 },
      action: 'wait',
      number: 3,
    });
  });

  it('S-12: a flap that the server did not notice is kept, each rank vouching for itself', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    expect(h.path()).toBe('reconnecting.dialing');
    await h.toSession();
    await h.script.answer('survey', sealed);
    expect(h.context().announcement).toMatchObject({ epoch: { schedulerBootId: 'boot', counter: 2 }, action: 'keep' });
    h.deliver();
    h.report(0, { outcome: 'kept' });
    h.report(1, { outcome: 'kept' });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
    expect(h.script.started.filter((name) => name === 'clear')).toHaveLength(1);
  });

  it('a refused keep is followed by a fresh link and session, a clear, and register', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    await h.toSession();
    await h.script.answer('survey', sealed);
    h.deliver();
    h.report(0, { outcome: 'failed', fault: { kind: 'forgotten', message: 'instance not found', lost: 'instance' } });
    h.script.clock.tick(budgets.redialMaxMs);
    expect(h.path()).toBe('reconnecting.dialing');
    expect(h.script.links[1]?.isDropped).toBe(true);
    await h.toSession();
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    await h.script.answer('clear', { tookMs: 1 });
    expect(h.context().announcement).toMatchObject({
      epoch: { schedulerBootId: 'boot', counter: 3 },
      action: 'register',
      serverVersion: '0.25.1',
    });
  });

  it('a refused keep ends the session only when the other ranks have ended their copies', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    await h.toSession();
    await h.script.answer('survey', sealed);
    h.deliver();
    h.report(0, { outcome: 'kept', idle: false, serves: true });
    h.report(1, { outcome: 'failed' });
    expect(h.context().announcement.action).toBe('wait');
    expect(h.script.links.at(-1)?.isDropped).toBe(false);
    h.report(0, { outcome: 'kept' });
    expect(h.script.links.at(-1)?.isDropped).toBe(true);
    h.script.clock.tick(budgets.redialMaxMs);
    await h.toSession();
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('a rank that was replaced while the keep was under way refuses it by being another process', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    await h.toSession();
    await h.script.answer('survey', sealed);
    h.deliver();
    h.report(0, { workerBootId: 'replacement', outcome: 'kept' });
    h.script.clock.tick(budgets.redialMaxMs);
    expect(h.path()).toBe('reconnecting.dialing');
    expect(h.context().published).toBe(null);
  });

  it('what the server has denied once is not trusted again, whatever the next probe finds', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'instance not found', lost: 'instance' } });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.backingOff');

    const audited = schedulerHarness();
    await audited.toConnected();
    audited.script.clock.tick(budgets.auditFirstMs);
    await audited.script.answer('survey', { kind: 'incomplete', registered: 1, expected: 2 });
    await audited.script.answer('survey', sealed);
    expect(audited.path()).toBe('reRegistering.backingOff');
  });

  it('a rank that follows another scheduler refutes the registration', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.report(0, { epoch: { schedulerBootId: 'another', counter: 9 }, outcome: 'failed' });
    expect(h.path()).toBe('degraded.surveying');
  });

  it('late words of a worker process that was replaced count for nothing', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0, { workerBootId: 'old', outcome: 'pending' });
    h.report(0);
    h.report(0, { workerBootId: 'old', outcome: 'failed' });
    h.report(1);
    await h.script.answer('survey', sealed);
    h.report(0, { workerBootId: 'old', outcome: 'pending' });
    expect(h.path()).toBe('connected.unaudited');
    expect(h.told('report.late')).toHaveLength(2);
  });

  it('a worker process that a late word of its predecessor put aside is heard again in the next epoch', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0, { workerBootId: 'new', outcome: 'pending' });
    h.report(0, { workerBootId: 'old', outcome: 'pending' });
    h.report(0, { workerBootId: 'new' });
    h.report(1);
    expect(h.path()).toBe('reRegistering.sealing.waiting');

    h.script.clock.tick(budgets.stalledAfterMs + budgets.stalledTimeoutMs);
    h.script.clock.tick(budgets.redialMaxMs);
    await h.toSealing();
    h.report(0, { workerBootId: 'new' });
    h.report(1);
    expect(h.path()).toBe('reRegistering.readingBack');
  });

  it('what is lost again and again is repeated ever slower', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    const pauses: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'not found', lost: 'instance' } });
      await h.script.answer('survey', notFound);
      pauses.push(h.path());
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      await h.script.answer('clear', { tookMs: 1 });
      h.deliver();
      h.report(0);
      h.report(1);
      await h.script.answer('survey', sealed);
    }
    expect(new Set(pauses)).toEqual(new Set(['reRegistering.backingOff']));
    expect(h.script.clock.now).toBeGreaterThan(budgets.voidBackoffFirstMs * 20);

    h.script.clock.tick(budgets.auditFirstMs);
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.serving');
    h.script.clock.tick(budgets.outlivedMs - budgets.auditFirstMs);
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'not found', lost: 'instance' } });
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('S-32: work that never ends is repeated ever slower, although every audit says sealed, until another trouble comes', async () => {
    const h = schedulerHarness();
    await h.toServing();
    const stalled = { outcome: 'lost', fault: { kind: 'timedOut', message: 'unknown outcome' } } as const;
    const pausesMs: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      h.report(0, stalled);
      expect(h.path()).toBe('degraded.surveying');
      await h.script.answer('survey', sealed);
      const startMs = h.script.clock.now;
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      pausesMs.push(h.script.clock.now - startMs);
      await h.script.answer('clear', { tookMs: 1 });
      h.deliver();
      h.report(0);
      h.report(1);
      await h.script.answer('survey', sealed);
      h.script.clock.tick(budgets.auditFirstMs);
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.serving');
    }
    expect(pausesMs[0]).toBe(0);
    expect(pausesMs).toEqual(pausesMs.toSorted((a, b) => a - b));
    expect(pausesMs[3]).toBeGreaterThanOrEqual(budgets.voidBackoffFirstMs * 16);
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'defect', message: 'something else' } });
    await h.script.answer('survey', sealed);
    const endMs = h.script.clock.now + 16 * budgets.outlivedMs;
    while (h.script.clock.now < endMs) {
      h.script.clock.tick(500);
      if (h.path() === 'connected.auditing') await h.script.answer('survey', sealed);
    }
    expect(h.context().failedGenerations).toBe(0);
  });

  it('a server that really was away is no trouble, however often: its successor is registered with at once', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    for (let round = 0; round < 5; round += 1) {
      h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
      h.actor.send({ type: 'server.died' });
      await h.toSealing();
      h.report(0);
      h.report(1);
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
    }
  });

  it('a server that accepts and closes, or ends the session, again and again is met with a backoff', async () => {
    const flapping = schedulerHarness();
    flapping.script.tell({ type: 'link.opened' });
    flapping.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    expect(flapping.path()).toBe('reconnecting.waiting');

    const ending = schedulerHarness();
    await ending.toConnected();
    for (let round = 0; round < 3; round += 1) {
      ending.script.tell({ type: 'session.ended', fault: gone });
      await ending.toSession();
      while (ending.path() !== 'reRegistering.clearing.waiting') {
        if (ending.path() === 'reRegistering.surveying') await ending.script.answer('survey', notFound);
        else ending.script.clock.tick(1);
      }
      await ending.script.answer('clear', { tookMs: 1 });
      ending.deliver();
      ending.report(0);
      ending.report(1);
      await ending.script.answer('survey', sealed);
    }
    expect(ending.script.clock.now).toBeGreaterThan(budgets.voidBackoffFirstMs);
  });

  it.each(['openSession', 'clear', 'survey'])(
    'a server that lives and refuses %s every time is met ever slower',
    async (call) => {
      const h = schedulerHarness();
      const refusal = new FaultError({ kind: 'defect', message: 'internal: out of sorts' });
      const waitsMs: number[] = [];
      for (let round = 0; round < 14; round += 1) {
        const sinceMs = h.script.clock.now;
        while (!h.script.pending.includes(call)) {
          const [other] = h.script.pending;
          if (other) await h.script.answer(other, other === 'survey' ? notFound : { tookMs: 1 });
          else if (h.path() === 'reconnecting.dialing') h.script.tell({ type: 'link.opened' });
          else if (h.path() === 'reRegistering.announcing') h.deliver();
          else if (h.path().startsWith('reRegistering.sealing')) for (const rank of [0, 1]) h.report(rank);
          else h.script.clock.tick(1);
        }
        waitsMs.push(h.script.clock.now - sinceMs);
        await h.script.fail(call, refusal);
      }
      expect(waitsMs[0]).toBe(0);
      expect(waitsMs.at(-1)).toBeGreaterThanOrEqual(budgets.voidBackoffMaxMs);

      // Its successor is met at once.
      while (h.path() !== 'reconnecting.dialing') h.script.clock.tick(1);
      h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
      h.script.clock.tick(budgets.redialMaxMs);
      expect(h.path()).toBe('reconnecting.dialing');
    },
  );

  it('a rank that was replaced is not kept', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.report(1, { workerBootId: 'worker-1-again', epoch: null, outcome: 'pending' });
    await h.toSession();
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('a rank that comes back with a new boot id re-forms the instance once', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(1, { workerBootId: 'worker-1-again', epoch: null, outcome: 'pending' });
    expect(h.path()).toBe('degraded.surveying');
    await h.script.answer('survey', sealed);
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0);
    h.report(1, { workerBootId: 'worker-1-again' });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
    expect(h.context().announcement.epoch.counter).toBe(2);
    expect(h.context().evidence?.fault.message).toContain('rank 1: was replaced');
  });

  it('a generation passes its clear only when the clear was answered', async () => {
    const h = schedulerHarness();
    await h.toSession();
    h.script.clock.tick(budgets.stalledAfterMs);
    expect(h.path()).toBe('reRegistering.clearing.stalled');
    expect(h.actor.getSnapshot().hasTag('stalled')).toBe(true);
    expect(h.script.pending).toEqual(['clear']);
    h.script.clock.tick(budgets.stalledTimeoutMs - 1);
    expect(h.path()).toBe('reRegistering.clearing.stalled');
    h.script.clock.tick(1);
    expect(h.path()).toBe('reconnecting.waiting');
    expect(h.script.openLinks).toBe(0);
  });

  it('S-15: one rank that fails makes the generation fail for all, the second time after a backoff', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0);
    const refused: Fault = { kind: 'rejected', message: 'already registered' };
    h.report(1, { outcome: 'failed', fault: refused });
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0);
    h.report(1, { outcome: 'failed', fault: refused });
    expect(h.path()).toBe('reRegistering.backingOff');
    h.script.clock.tick(budgets.voidBackoffFirstMs);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    expect(h.context().announcement.epoch.counter).toBe(2);
  });

  it('where ranks are busy the clear waits for them, bounded', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { idle: false });
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'instance not found', lost: 'instance' } });
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('reRegistering.quiescing');
    h.script.clock.tick(budgets.quiesceTimeoutMs - 1);
    expect(h.path()).toBe('reRegistering.quiescing');
    h.report(0, { idle: true });
    expect(h.path()).toBe('reRegistering.clearing.waiting');

    const other = schedulerHarness();
    await other.toServing();
    other.report(0, { idle: false });
    other.actor.send({ type: 'rpc.failed', fault: gone });
    await other.script.answer('survey', notFound);
    other.script.clock.tick(budgets.quiesceTimeoutMs);
    expect(other.path()).toBe('reRegistering.clearing.waiting');
  });

  it('the clear waits until the ranks have heeded the wait: one that serves may just be told of a load', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { serves: true });
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'instance not found', lost: 'instance' } });
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('reRegistering.quiescing');
    expect(h.context().announcement.action).toBe('wait');
    h.report(0, { serves: false });
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  describe('a barrier counts only answers to itself', () => {
    const denial: Fault = { kind: 'forgotten', message: 'instance not found', lost: 'instance' };
    const toBarrier = async () => {
      const h = schedulerHarness({ answersWaits: false });
      await h.toServing();
      h.actor.send({ type: 'rpc.failed', fault: denial });
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('reRegistering.quiescing');
      return h;
    };
    const before = (h: ReturnType<typeof schedulerHarness>) => ({ number: (h.context().announcement.number ?? 0) - 1 });

    it('S-71: a report from before the wait, of another scheduler’s wait or of a rank that was never heard is none', async () => {
      const h = await toBarrier();
      for (const rank of [0, 1]) h.report(rank, before(h));
      expect(h.path()).toBe('reRegistering.quiescing');
      for (const rank of [0, 1]) h.report(rank, { epoch: { schedulerBootId: 'another', counter: 1 }, number: 99 });
      expect(h.path()).toBe('reRegistering.quiescing');
      h.report(0, { workerBootId: 'replacement', epoch: null, number: 0, outcome: 'pending' });
      h.report(1);
      expect(h.path()).toBe('reRegistering.quiescing');
      h.report(0, { workerBootId: 'replacement', outcome: 'pending' });
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    });

    it('a wait that is still in force is answered once: nothing was begun since', async () => {
      const h = await toBarrier();
      const { announcement } = h.context();
      h.report(0);
      h.script.tell({ type: 'link.ended', cause: 'reset', fault: gone });
      h.script.clock.tick(budgets.redialMaxMs);
      await h.toSession();
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      expect(h.context().announcement).toBe(announcement);
      h.report(1);
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    });

    it('a rank that has stopped hears no more, and an older one does not say what it heard: their word counts', async () => {
      const h = await toBarrier();
      h.report(0, { ...before(h), outcome: 'stopped' });
      h.report(1, { number: undefined } as object);
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    });

    it('before ranks were heard the clear waits for them, bounded, unless the server has nothing of theirs', async () => {
      const h = schedulerHarness();
      h.script.tell({ type: 'link.opened' });
      await h.script.answer('openSession');
      await h.script.answer('survey', sealed);
      h.report(0, { outcome: 'pending' });
      h.script.clock.tick(budgets.quiesceTimeoutMs - 1);
      expect(h.path()).toBe('reRegistering.quiescing');
      h.script.clock.tick(1);
      expect(h.path()).toBe('reRegistering.clearing.waiting');
      expect(h.told('wait.unanswered')).toEqual([{ type: 'wait.unanswered', ranks: [1] }]);

      const first = schedulerHarness();
      await first.toSession();
      expect(first.path()).toBe('reRegistering.clearing.waiting');
    });

    it('a draining server keeps its session until the ranks have answered the wait', async () => {
      const h = schedulerHarness({ answersWaits: false });
      await h.toConnected();
      h.script.tell({ type: 'drain.announced' });
      for (const rank of [0, 1]) h.report(rank, before(h));
      expect(h.path()).toBe('degraded.draining');
      for (const rank of [0, 1]) h.report(rank);
      expect(h.path()).toBe('reconnecting.waiting');
    });
  });

  it('a rank that was led away by another scheduler makes the generation fail and is recalled by the next one', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    const other = { schedulerBootId: 'dead', counter: 9 };
    h.report(0, { epoch: other, number: 40, turn: 1, former: ['boot'], outcome: 'pending' });
    expect(h.context().evidence?.fault.message).toContain('rank 0: left this scheduler');
    expect(h.context().announcement).toMatchObject({
      action: 'wait',
      recalls: [{ workerBootId: 'worker-0', turn: 1 }],
    });
    h.report(0, { turn: 2, former: ['dead'], outcome: 'pending' });
    h.report(1, { outcome: 'pending' });
    await h.script.answer('clear', { tookMs: 1 });
    expect(h.context().announcement.recalls).toBe(undefined);
    h.deliver();
    for (const rank of [0, 1]) h.report(rank);
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');

    // One that is recalled and was not heard since is waited for: it is not recalled again and again.
    h.report(1, { epoch: other, number: 41, turn: 3, former: ['boot'], outcome: 'pending' });
    await h.script.answer('survey', sealed);
    h.script.clock.tick(budgets.voidBackoffMaxMs + budgets.quiesceTimeoutMs);
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    expect(h.path()).toBe('reRegistering.sealing.waiting');
  });

  describe('it stays in service only while every rank serves in that epoch, and a rank that stays away ends the instance', () => {
    const fault: Fault = { kind: 'unreachable', message: 'rank 1: no report for 5000 ms' };
    const missed = (isSilent: boolean) => ({ type: 'rank.missed', rank: 1, isSilent, fault }) as const;
    const away = async (isSilent: boolean, answersWaits = true) => {
      const h = schedulerHarness({ answersWaits });
      await h.toServing();
      h.report(0, { serves: true });
      if (!isSilent) h.report(1);
      h.actor.send(missed(isSilent));
      expect(h.path()).toBe('degraded.missingRank');
      expect(h.actor.getSnapshot().hasTag('cacheUsable')).toBe(false);
      return h;
    };

    it.each([true, false])(
      'a rank that is back within the budget is asked for nothing anew (silent: %s)',
      async (isSilent) => {
        const h = await away(isSilent);
        expect(h.context().evidence).toEqual({ of: 'rank', fault });
        h.report(0, { serves: true });
        expect(h.path()).toBe('degraded.missingRank');
        h.report(1, { serves: true });
        expect(h.path()).toBe('degraded.surveying');
        await h.script.answer('survey', sealed);
        expect([h.path(), h.context().announcement.epoch.counter]).toEqual(['connected.unaudited', 1]);
        expect(h.told('rank.missed', 'rank.returned')).toEqual([
          { type: 'rank.missed', rank: 1, fault },
          { type: 'rank.returned', rank: 1 },
        ]);
      },
    );

    it('one that stays away ends the instance, and is waited for before anything is registered again', async () => {
      const h = await away(true, false);
      h.script.clock.tick(budgets.rankAwayMs);
      expect(h.path()).toBe('reRegistering.quiescing');
      h.script.clock.tick(budgets.quiesceTimeoutMs);
      await h.script.answer('clear', { tookMs: 1 });
      expect(h.path()).toBe('reRegistering.awaitingRanks');
      h.script.clock.tick(3_600_000);
      h.report(0, { outcome: 'pending' });
      expect(h.path()).toBe('reRegistering.awaitingRanks');
      h.report(1, { workerBootId: 'successor', outcome: 'pending', reaches: false });
      expect(h.path()).toBe('reRegistering.awaitingRanks');
      h.report(1, { workerBootId: 'successor', outcome: 'pending', reaches: true });
      expect(h.path()).toBe('reRegistering.announcing');
      h.deliver();
      h.report(0);
      h.report(1, { workerBootId: 'successor' });
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
      expect(h.told('rank.missed', 'rank.returned').at(-1)).toEqual({ type: 'rank.returned', rank: 1 });
    });

    it('another process in its place re-forms the instance at once', async () => {
      const h = await away(true);
      h.report(1, { workerBootId: 'successor', epoch: null, outcome: 'pending' });
      expect(h.path()).toBe('degraded.surveying');
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('reRegistering.quiescing');
    });

    it('a server that goes meanwhile is no reason to wait for the rank', async () => {
      const h = await away(false);
      h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
      expect(h.path()).toBe('reconnecting.dialing');
    });
  });

  describe('roles at different servers dial afresh until they meet', () => {
    const refused = { outcome: 'failed', fault: { kind: 'rejected', message: 'already registered' } } as const;
    const toApart = async () => {
      const h = schedulerHarness();
      await h.toSealing();
      for (const rank of [0, 1]) h.report(rank);
      await h.script.answer('survey', notFound);
      expect(h.context().evidence?.fault.message).toContain('do all roles reach the same server?');
      await h.script.answer('clear', { tookMs: 1 });
      // Once, somebody may have undone it.
      expect(h.context().announcement.dialsAfresh).toBe(undefined);
      h.deliver();
      h.report(0, refused);
      expect(h.path()).toBe('reRegistering.backingOff');
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      expect([h.path(), h.script.links.length]).toEqual(['reconnecting.dialing', 2]);
      return h;
    };

    it('from the second generation on that ranks and server do not agree on', async () => {
      const h = await toApart();
      await h.toSession();
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      await h.script.answer('clear', { tookMs: 1 });
      expect(h.context().announcement.dialsAfresh).toBe(true);
      h.deliver();
      for (const rank of [0, 1]) h.report(rank);
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
      h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'not found', lost: 'instance' } });
      await h.script.answer('survey', notFound);
      while (h.path() !== 'reRegistering.announcing') await h.answerAll();
      expect(h.context().announcement.dialsAfresh).toBe(undefined);
    });

    it('from the second generation on that is refused for a registration which the clear before it should have ended', async () => {
      const taken = { outcome: 'failed', fault: { ...refused.fault, isTaken: true } } as const;
      const h = schedulerHarness();
      await h.toSealing();
      h.report(0, taken);
      while (h.path() !== 'reRegistering.announcing') await h.answerAll();
      expect(h.context().announcement.dialsAfresh).toBe(undefined);
      h.deliver();
      h.report(0, taken);
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      expect([h.path(), h.script.links.length]).toEqual(['reconnecting.dialing', 2]);
    });

    it('the death of one server says nothing of the other, which may still hold what a rank registered there', async () => {
      const h = await toApart();
      h.report(0, { serves: true });
      await h.toSession();
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      expect(h.path()).toBe('reRegistering.quiescing');
      h.actor.send({ type: 'server.died' });
      await h.script.answer('survey', notFound);
      expect(h.path()).toBe('reRegistering.quiescing');
      for (const rank of [0, 1]) h.report(rank);
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    });

    it('the stop says that another server may still hold the instance', async () => {
      const h = await toApart();
      h.actor.send({ type: 'stop' });
      for (const rank of [0, 1]) h.report(rank, { outcome: 'stopped' });
      await h.script.answer('unregisterAtStop', { kind: 'clean' });
      expect(h.actor.getSnapshot().output).toMatchObject({
        kind: 'unconfirmed',
        reason: expect.stringContaining('another server than the scheduler’s'),
      });
    });
  });

  it('who listens after the death of the last one never mapped our memory: nobody is waited for, whenever that is seen', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { idle: false, serves: true });
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
    h.script.clock.tick(budgets.redialMaxMs);
    await h.toSession();
    await h.script.answer('survey', notFound);
    // After a refused dial alone the last one may still copy.
    expect(h.path()).toBe('reRegistering.quiescing');
    h.actor.send({ type: 'server.died' });
    expect(h.path()).toBe('reRegistering.quiescing');
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0, { outcome: 'failed', serves: true });
    // From its first registration on it is a server like any other.
    expect(h.path()).toBe('reRegistering.quiescing');
  });

  it.each(['before', 'after'] as const)(
    'a rank whose process is replaced and registers with the next server %s the death of the last one is seen is waited for',
    async (when) => {
      const h = schedulerHarness();
      await h.toServing();
      const { epoch } = h.context().announcement;
      const died = () => h.actor.send({ type: 'server.died' });
      h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
      if (when === 'after') died();
      h.report(1, { workerBootId: 'another', sequence: 0, epoch, outcome: 'pending' });
      h.report(1, { workerBootId: 'another', sequence: 1, epoch, outcome: 'registered', serves: true });
      if (when === 'before') died();
      await h.toSession();
      expect(h.path()).toBe('reRegistering.quiescing');
      await h.script.answer('survey', { kind: 'incomplete', registered: 1, expected: 2 });
      expect(h.path()).toBe('reRegistering.quiescing');
      for (const rank of [0, 1]) h.report(rank, rank === 1 ? { workerBootId: 'another' } : {});
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    },
  );

  it('a lost registration is noticed and replayed whoever lost it', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.script.clock.tick(budgets.auditFirstMs);
    expect(h.path()).toBe('connected.auditing');
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.serving');
    h.script.clock.tick(budgets.auditIntervalMs);
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('degraded.surveying');
    await h.script.answer('survey', notFound);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    expect(h.script.links).toHaveLength(1);
  });

  it('a denial that arrives during a survey outweighs what the survey says', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'timedOut', message: 'no answer' } });
    expect(h.path()).toBe('degraded.surveying');
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'not found', lost: 'instance' } });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('an ambiguous fault is surveyed and, with nothing lost, the epoch goes on', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'lease unknown', lost: 'lease' } });
    expect(h.path()).toBe('degraded.surveying');
    expect(h.actor.getSnapshot().hasTag('cacheUsable')).toBe(false);
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
    expect(h.context().announcement.epoch.counter).toBe(1);
  });

  it('a rank’s own word against its registration outweighs a survey that says sealed', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { outcome: 'lost', fault: { kind: 'defect', message: 'the load failed after it was accepted' } });
    expect(h.path()).toBe('degraded.surveying');
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('a rank that takes its word back during the read-back makes the generation fail', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0);
    h.report(1);
    expect(h.path()).toBe('reRegistering.readingBack');
    h.report(1, { outcome: 'lost', fault: { kind: 'defect', message: 'copy failed' } });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
    expect(h.context().evidence?.fault.message).toBe('rank 1: copy failed');
  });

  it('S-18: a late report of an epoch that is over is dropped and counted', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.actor.send({ type: 'rpc.failed', fault: gone });
    await h.script.answer('survey', notFound);
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0);
    h.report(0, { sequence: 1, epoch: { schedulerBootId: 'boot', counter: 1 }, outcome: 'failed' });
    h.report(1);
    expect(h.path()).toBe('reRegistering.readingBack');
    expect(h.told('report.late')).toHaveLength(1);
  });

  it.each<[string, Partial<RankReport>]>([
    ['of the same epoch', { outcome: 'pending' }],
    ['from before its first announcement', { outcome: 'pending', epoch: null }],
    ['to the scheduler before this one', { epoch: { schedulerBootId: 'before', counter: 7 } }],
  ])('a report that a newer one of the same rank overtook counts for nothing: %s', async (_, overtaken) => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { sequence: 100, serves: true, idle: false });
    h.report(0, { sequence: 99, ...overtaken });
    expect(h.path()).toBe('connected.serving');
    expect(h.told('report.late')).toHaveLength(1);
    h.script.tell({ type: 'drain.announced' });
    expect(h.path()).toBe('degraded.draining');
  });

  it('a word against a registration is not taken back by an older word for it', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.report(0, { sequence: 100, outcome: 'lost' });
    h.report(0, { sequence: 99 });
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('reRegistering.clearing.waiting');
  });

  it('a draining server gets its session back when all ranks are idle, or at the end of the budget', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.report(0, { idle: false });
    h.script.tell({ type: 'drain.announced' });
    expect(h.path()).toBe('degraded.draining');
    expect(h.script.openLinks).toBe(1);
    h.report(0, { idle: true });
    expect(h.path()).toBe('reconnecting.waiting');
    expect(h.script.links[0]?.isDropped).toBe(true);

    const other = schedulerHarness();
    await other.toConnected();
    other.report(0, { idle: false });
    other.script.tell({ type: 'drain.announced' });
    other.script.clock.tick(budgets.drainTimeoutMs);
    expect(other.path()).toBe('reconnecting.waiting');
  });

  it('S-33: an incompatible server parks the instance, is asked slowly, and a compatible one is taken up', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0, {
      outcome: 'failed',
      fault: { kind: 'incompatible', message: 'server=0.24.0', serverVersion: '0.24.0' },
    });
    expect(h.path()).toBe('incompatible.waiting');
    h.script.clock.tick(budgets.versionProbeIntervalMs);
    await h.script.answer('probeVersion', '0.24.0');
    expect(h.path()).toBe('incompatible.waiting');
    h.script.clock.tick(budgets.versionProbeIntervalMs);
    await h.script.fail('probeVersion', new FaultError({ kind: 'incompatible', message: 'no PegaFlow server' }));
    expect(h.path()).toBe('incompatible.waiting');
    h.script.clock.tick(budgets.versionProbeIntervalMs);
    await h.script.answer('probeVersion', '0.24.6');
    // Over a fresh link: the session of this one would stay open beside the next.
    expect(h.path()).toBe('reconnecting.dialing');
    expect([h.script.links.length, h.script.openLinks]).toEqual([2, 1]);
    await h.toSealing();
    expect(h.context().announcement.serverVersion).toBe('0.24.6');
    for (const rank of [0, 1]) h.report(rank);
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
  });

  describe('a server of another version that is allowed is registered with at once, and no version is tried in a loop', () => {
    const refusedBy = (serverVersion: string): Partial<RankReport> => ({
      outcome: 'failed',
      fault: { kind: 'incompatible', message: `version mismatch: server=${serverVersion}`, serverVersion },
    });
    const announced = (h: ReturnType<typeof schedulerHarness>) => {
      const { epoch, action, serverVersion } = h.context().announcement;
      return [epoch.counter, action, serverVersion];
    };

    it('the next announcement names it, without a clear, a pause or the state incompatible', async () => {
      const h = schedulerHarness();
      const states: string[] = [];
      await h.toSealing();
      expect(announced(h)).toEqual([1, 'register', '0.25.1']);
      h.actor.subscribe(({ value }) => states.push(pathFrom(value)));
      h.report(1, refusedBy('0.24.6'));
      expect(h.path()).toBe('reRegistering.announcing');
      expect(announced(h)).toEqual([2, 'register', '0.24.6']);
      // Word of the generation before, which every rank gives.
      h.report(0, { ...refusedBy('0.24.6'), epoch: { schedulerBootId: 'boot', counter: 1 } });
      h.deliver();
      for (const rank of [0, 1]) h.report(rank);
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
      expect(h.script.started.filter((name) => name === 'clear')).toHaveLength(1);
      expect(states.filter((state) => /incompatible|backingOff|waiting$/.test(state))).toEqual([
        'reRegistering.sealing.waiting',
        'reRegistering.sealing.waiting',
      ]);
    });

    it('what worked last is announced after a restart, also where the server came back as it was before', async () => {
      const h = schedulerHarness();
      await h.toSealing();
      h.report(0, refusedBy('0.24.6'));
      h.deliver();
      for (const rank of [0, 1]) h.report(rank);
      await h.script.answer('survey', sealed);
      for (const [version, counter] of [
        ['0.24.6', 3],
        ['0.25.1', 4],
        ['0.25.1', 5],
      ] as const) {
        h.actor.send({ type: 'server.died' });
        h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
        await h.toSealing();
        if (announced(h)[2] !== version) {
          h.report(0, refusedBy(version));
          h.deliver();
        }
        for (const rank of [0, 1]) h.report(rank);
        await h.script.answer('survey', sealed);
        expect([h.path(), ...announced(h)]).toEqual([
          'connected.unaudited',
          counter + Number(counter > 3),
          'register',
          version,
        ]);
      }
    });

    it('a server that refuses what it has just named is come back to ever more slowly', async () => {
      const h = schedulerHarness();
      await h.toSealing();
      const versions = ['0.24.6', '0.23.12'];
      h.report(0, refusedBy('0.24.6'));
      for (let refusals = 1; refusals <= 12; refusals += 1) {
        h.deliver();
        expect(announced(h)).toEqual([refusals + 1, 'register', versions[(refusals + 1) % 2]]);
        h.report(0, refusedBy(versions[refusals % 2]!));
        for (const rank of [0, 1]) h.report(rank, { outcome: 'pending' });
        expect(h.path()).toBe(refusals < 2 ? 'reRegistering.clearing.waiting' : 'reRegistering.backingOff');
        if (h.path() === 'reRegistering.backingOff') {
          h.script.clock.tick(Math.min(budgets.voidBackoffMaxMs, budgets.voidBackoffFirstMs * 2 ** (refusals - 2)) - 1);
          expect(h.path()).toBe('reRegistering.backingOff');
          h.script.clock.tick(1);
        }
        await h.script.answer('clear', { tookMs: 1 });
      }
    });

    it('a version that is not allowed, and one that refuses itself, park the instance', async () => {
      for (const [serverVersions, version] of [
        ['tested', '0.25.2'],
        ['minor', '0.26.0'],
        ['0.25.1', '0.24.6'],
        ['tested', '0.25.1'],
      ] as const) {
        const h = schedulerHarness({ serverVersions });
        await h.toSealing();
        h.report(0, refusedBy(version));
        expect([serverVersions, version, h.path()]).toEqual([serverVersions, version, 'incompatible.waiting']);
      }
      const h = schedulerHarness({ serverVersions: 'minor' });
      await h.toSealing();
      h.report(0, refusedBy('0.25.2'));
      expect(announced(h)).toEqual([2, 'register', '0.25.2']);
    });

    it('a scheduler that takes the place of another begins with what the ranks have registered with', async () => {
      const h = schedulerHarness();
      h.report(0, { outcome: 'pending', serverVersion: '0.23.12' });
      await h.toSealing();
      expect(announced(h)).toEqual([1, 'register', '0.23.12']);
      const exact = schedulerHarness({ serverVersions: '0.25.1' });
      exact.report(0, { outcome: 'pending', serverVersion: '0.23.12' });
      await exact.toSealing();
      expect(announced(exact)).toEqual([1, 'register', '0.25.1']);
    });

    it('a rank with a storage offset is not announced to a server that does not check it', async () => {
      const h = schedulerHarness();
      await h.toSealing();
      h.report(1, { outcome: 'pending', layerWithOffset: 'l7' });
      h.report(0, refusedBy('0.23.12'));
      expect([h.path(), ...announced(h)]).toEqual(['incompatible.waiting', 1, 'register', '0.25.1']);
      expect(h.context().evidence?.fault).toMatchObject({
        kind: 'incompatible',
        serverVersion: '0.23.12',
        message: expect.stringMatching(/^rank 1: layer l7 has a storage offset/),
      });
      h.script.clock.tick(budgets.versionProbeIntervalMs);
      await h.script.answer('probeVersion', '0.23.12');
      expect(h.path()).toBe('incompatible.waiting');
      // The worker process is replaced by one whose layers begin where their storage does.
      h.report(1, { workerBootId: 'replacement', outcome: 'pending' });
      h.script.clock.tick(budgets.versionProbeIntervalMs);
      await h.script.answer('probeVersion', '0.23.12');
      await h.toSealing();
      expect(announced(h)).toEqual([2, 'register', '0.23.12']);
      // And the one after that has one again: told before the announcement, it is not announced at all.
      for (const rank of [0, 1]) h.report(rank, rank === 1 ? { workerBootId: 'replacement' } : {});
      await h.script.answer('survey', sealed);
      h.report(1, { workerBootId: 'third', outcome: 'pending', epoch: null, layerWithOffset: 'l7' });
      for (let step = 0; step < 20 && !h.path().startsWith('incompatible'); step += 1) await h.answerAll();
      expect([h.path(), ...announced(h)]).toEqual(['incompatible.waiting', 2, 'wait', undefined]);
    });
  });

  it('S-68: waits without a budget until a host that makes no steps carried the announcement', async () => {
    const h = schedulerHarness();
    await h.toSession();
    await h.script.answer('clear', { tookMs: 1 });
    h.script.clock.tick(3_600_000);
    expect(h.path()).toBe('reRegistering.announcing');
    h.actor.send({ type: 'announcement.delivered', epoch: { schedulerBootId: 'boot', counter: 0 } });
    expect(h.path()).toBe('reRegistering.announcing');
    h.deliver();
    expect(h.path()).toBe('reRegistering.sealing.waiting');
    expect(h.context().announcement.epoch.counter).toBe(1);
  });

  it('S-11: hours without a request change nothing: the audits go on, and nothing is registered or dialled again', async () => {
    const h = schedulerHarness();
    await h.toServing();
    const { epoch } = h.context().announcement;
    const startedBefore = h.script.started.length;
    for (let audit = 0; audit < 6 * 360; audit += 1) {
      h.script.clock.tick(budgets.auditIntervalMs);
      await h.script.answer('survey', sealed);
    }
    expect(h.path()).toBe('connected.serving');
    expect(h.context().announcement.epoch).toBe(epoch);
    expect(new Set(h.script.started.slice(startedBefore))).toEqual(new Set(['survey']));
    expect(h.script.links).toHaveLength(1);
  });

  it('silence ends every attempt: dial, session, survey and read-back', async () => {
    const dial = schedulerHarness();
    dial.script.clock.tick(budgets.dialTimeoutMs);
    expect(dial.path()).toBe('reconnecting.waiting');
    dial.script.clock.tick(budgets.redialFirstMs);
    expect(dial.path()).toBe('reconnecting.dialing');
    expect(dial.script.openLinks).toBe(1);

    const session = schedulerHarness();
    session.script.tell({ type: 'link.opened' });
    session.script.clock.tick(budgets.sessionTimeoutMs);
    expect(session.path()).toBe('reconnecting.waiting');

    const survey = schedulerHarness();
    await survey.toConnected();
    survey.script.tell({ type: 'link.ended', cause: 'reset', fault: gone });
    await survey.toSession();
    expect(survey.path()).toBe('reRegistering.surveying');
    survey.script.clock.tick(budgets.surveyTimeoutMs);
    expect(survey.path()).toBe('reconnecting.waiting');

    const audit = schedulerHarness();
    await audit.toConnected();
    audit.script.clock.tick(budgets.auditFirstMs + budgets.surveyTimeoutMs);
    expect(audit.path()).toBe('degraded.surveying');
    audit.script.clock.tick(budgets.surveyTimeoutMs);
    expect(audit.path()).toBe('degraded.unanswered');
  });

  it('a link that lives is kept while surveys go unanswered, and they come ever more slowly', async () => {
    const h = schedulerHarness();
    await h.toServing();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'timedOut', message: 'no answer to a query' } });
    const waitsMs: number[] = [];
    while (h.script.clock.now < budgets.stalledTimeoutMs / 2) {
      h.script.clock.tick(budgets.surveyTimeoutMs);
      expect(h.path()).toBe('degraded.unanswered');
      const sinceMs = h.script.clock.now;
      while (h.path() === 'degraded.unanswered') h.script.clock.tick(1);
      waitsMs.push(h.script.clock.now - sinceMs);
    }
    expect(waitsMs[0]).toBe(budgets.voidBackoffFirstMs);
    expect(waitsMs.at(-1)).toBeGreaterThan(1_000);
    expect(waitsMs).toEqual(waitsMs.toSorted((a, b) => a - b));
    expect(h.script.links).toHaveLength(1);
    await h.script.answer('survey', sealed);
    expect(h.path()).toBe('connected.unaudited');
  });

  it('a backoff is forgotten only when a connection has lived several times as long as the one before', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    const lose = async () => {
      h.script.tell({ type: 'link.ended', cause: 'reset', fault: gone });
      while (h.path() !== 'reconnecting.dialing') h.script.clock.tick(1);
      const sinceMs = h.script.clock.now;
      h.script.tell({ type: 'link.opened' });
      await h.script.answer('openSession');
      while (h.path() === 'reRegistering.backingOff') h.script.clock.tick(1);
      const waitedMs = h.script.clock.now - sinceMs;
      await h.script.answer('survey', sealed);
      h.deliver();
      for (const rank of [0, 1]) h.report(rank, { outcome: 'kept' });
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
      return waitedMs;
    };
    const live = async (lifeMs: number) => {
      const endMs = h.script.clock.now + lifeMs;
      while (h.script.clock.now < endMs) {
        h.script.clock.tick(100);
        if (h.path() === 'connected.auditing') await h.script.answer('survey', sealed);
      }
    };
    await live(budgets.outlivedMs);
    expect(await lose()).toBe(0);
    const waitsMs = [];
    for (let round = 0; round < 8; round += 1) {
      await live(1_500);
      waitsMs.push(await lose());
    }
    expect(waitsMs.at(-1)).toBeGreaterThan(1_000);
    await live(16 * budgets.outlivedMs);
    expect(await lose()).toBe(0);
  });

  describe('a registration that the server refuses each time in the same words', () => {
    const refusal: Fault = { kind: 'rejected', message: 'Internal: register tensor failed: no map 7' };
    /** Refuses generations until one is not begun within 6 s; returns how many. */
    const refuseAll = async (h: ReturnType<typeof schedulerHarness>, fault: (n: number) => Fault) => {
      h.report(1, { outcome: 'pending' });
      for (let n = 0; n < 40; n += 1) {
        h.report(0, { outcome: 'failed', fault: fault(n) });
        for (let ms = 0; ms < 6_000 && !h.script.pending.includes('clear'); ms += 10) h.script.clock.tick(10);
        if (!h.script.pending.includes('clear')) return n + 1;
        await h.script.answer('clear', { tookMs: 1 });
        h.deliver();
      }
      return 40;
    };
    const harnessHeard = () => {
      const h = schedulerHarness();
      const parked: unknown[] = [];
      h.actor.on('registration.parked', (event) => parked.push(event));
      return { ...h, parked };
    };

    it('S-77 is parked after a few, with the words, and tried again after minutes, ever more slowly', async () => {
      const h = harnessHeard();
      await h.toSealing();
      expect(await refuseAll(h, (n) => ({ ...refusal, message: `${refusal.message}${n}` }))).toBe(10);
      expect([h.path(), h.script.openLinks]).toEqual(['reRegistering.parked', 1]);
      expect(h.parked).toMatchObject([{ retryMs: 60_000, fault: { message: expect.stringContaining('no map') } }]);
      h.script.clock.tick(60_000);
      await h.script.answer('clear', { tookMs: 1 });
      h.deliver();
      h.report(0, { outcome: 'failed', fault: refusal });
      expect(h.path()).toBe('reRegistering.parked');
      expect(h.parked).toMatchObject([{ retryMs: 60_000 }, { retryMs: 120_000 }]);
      h.script.clock.tick(120_000);
      await h.script.answer('clear', { tookMs: 1 });
      h.deliver();
      for (const rank of [0, 1]) h.report(rank);
      await h.script.answer('survey', sealed);
      expect(h.path()).toBe('connected.unaudited');
    });

    it.each<[string, (n: number) => Fault]>([
      ['in other words each time', (n) => ({ ...refusal, message: 'x'.repeat(n + 1) })],
      ['and asks to come back', () => ({ ...refusal, retryAfterMs: 10 })],
      ['because it cannot be reached', () => gone],
    ])('is not parked where it is refused %s', async (_, fault) => {
      const h = harnessHeard();
      await h.toSealing();
      expect(await refuseAll(h, fault)).toBe(40);
      expect(h.parked).toEqual([]);
    });

    it.each<[string, (h: ReturnType<typeof schedulerHarness>) => void, string]>([
      [
        'another server',
        (h) => h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone }),
        'reconnecting.waiting',
      ],
      [
        'another process of a rank, which may have other memory',
        (h) => h.report(0, { workerBootId: 'successor', epoch: null, outcome: 'pending' }),
        'reRegistering.clearing.waiting',
      ],
    ])('is made at once with %s', async (_, change, path) => {
      const h = schedulerHarness();
      await h.toSealing();
      await refuseAll(h, () => refusal);
      change(h);
      expect(h.path()).toBe(path);
      expect(h.context().refusedAlike.count).toBe(0);
    });

    it('is parked too where a rank refuses a version that this scheduler takes, as one of an older release does', async () => {
      const h = harnessHeard();
      await h.toSealing();
      const version: Fault = { kind: 'incompatible', message: 'FailedPrecondition: another version' };
      for (let n = 0; n < 400 && h.parked.length === 0; n += 1) {
        if (h.path() === 'reRegistering.announcing') h.deliver();
        if (h.path().startsWith('reRegistering.sealing')) h.report(0, { outcome: 'failed', fault: version });
        else await h.answerAll();
      }
      expect(h.parked).toHaveLength(1);
    });
  });

  /** How long it waits after each of so many attempts that end so, in milliseconds. */
  function waitsAfter(h: ReturnType<typeof schedulerHarness>, attempts: number, end: () => void): number[] {
    return Array.from({ length: attempts }, () => {
      end();
      let waitedMs = 0;
      while (h.path() !== 'reconnecting.dialing') {
        h.script.clock.tick(1);
        waitedMs += 1;
      }
      return waitedMs;
    });
  }

  it('the wait between dials that nobody answers grows slowly from 1 ms and never above its ceiling', () => {
    const h = schedulerHarness();
    const waits = waitsAfter(h, 1_000, () => h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone }));
    expect(waits[0]).toBe(1);
    expect(Math.max(...waits)).toBe(budgets.redialMaxMs);
    expect(h.script.openLinks).toBe(1);
  });

  it('S-08 who listens and turns it away is dialled at once, then ever less often; a dial that is refused ends that', () => {
    const h = schedulerHarness();
    for (const rank of [0, 1]) h.report(rank, { outcome: 'pending' });
    const ends = [
      () => h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone }),
      () => {
        h.script.tell({ type: 'link.opened' });
        h.script.tell({ type: 'link.ended', cause: 'protocolError', fault: gone });
      },
      () => {
        h.script.tell({ type: 'link.opened' });
        h.script.tell({ type: 'drain.announced' });
      },
    ];
    for (const end of ends) {
      const waits = waitsAfter(h, 20, end);
      expect(waits.slice(0, 4).every((waitMs) => waitMs <= 5)).toBe(true);
      expect(waits.at(-1)).toBe(budgets.droppedDialMaxMs);
      const [waitMs] = waitsAfter(h, 1, () => h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone }));
      expect(waitMs).toBeLessThanOrEqual(budgets.redialMaxMs);
    }
  });

  it('stop announces it, waits for the ranks, unregisters and drops the link last', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    h.actor.send({ type: 'stop' });
    expect(h.context().announcement.action).toBe('stop');
    expect(h.path()).toBe('stopping.stoppingRanks');
    h.report(0, { outcome: 'stopped' });
    h.report(1, { outcome: 'stopped' });
    expect(h.path()).toBe('stopping.unregistering');
    expect(h.script.openLinks).toBe(1);
    await h.script.answer('unregisterAtStop', { kind: 'clean' });
    expect(h.actor.getSnapshot().output).toEqual({ kind: 'clean' });
    expect(h.script.openLinks).toBe(0);
  });

  it('S-67: stop is unconfirmed while a rank that was told to register has not said that it stopped', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.report(0);
    h.actor.send({ type: 'stop' });
    h.report(0, { outcome: 'stopped' });
    h.script.clock.tick(budgets.stopTimeoutMs / 2);
    await h.script.answer('unregisterAtStop', { kind: 'clean' });
    expect(h.actor.getSnapshot().output).toEqual({ kind: 'unconfirmed', reason: 'rank 1 did not say that it stopped' });
  });

  it('stop is unconfirmed where a rank gave up a Register that nobody answered', async () => {
    const h = schedulerHarness();
    await h.toSealing();
    h.actor.send({ type: 'stop' });
    h.report(0, { outcome: 'stopped' });
    h.report(1, { outcome: 'stopped', isRegisterOpen: true });
    await h.script.answer('unregisterAtStop', { kind: 'clean' });
    expect(h.actor.getSnapshot().output).toEqual({
      kind: 'unconfirmed',
      reason: 'rank 1 gave up a RegisterContextBatch without an answer, which the server may still take',
    });
  });

  it('stop ends within its budget in every state, and says unconfirmed when nobody answers', async () => {
    const stages: ((h: ReturnType<typeof schedulerHarness>) => unknown)[] = [
      () => {},
      (h) => h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone }),
      (h) => h.script.tell({ type: 'link.opened' }),
      (h) => h.toSession(),
      (h) => h.toSealing(),
      (h) => h.toConnected(),
      (h) => h.toConnected().then(() => h.actor.send({ type: 'rpc.failed', fault: gone })),
    ];
    for (const stage of stages) {
      const h = schedulerHarness();
      await stage(h);
      h.actor.send({ type: 'stop' });
      h.script.clock.tick(budgets.stopTimeoutMs);
      expect(h.actor.getSnapshot().status).toBe('done');
      expect(h.actor.getSnapshot().output?.kind).toBe('unconfirmed');
      expect(h.script.openLinks).toBe(0);
      expect(h.script.clock.countTimers()).toBe(0);
    }
  });

  describe('drain and resume', () => {
    it('hands the session back when all ranks are idle, and dials again only when it is told', async () => {
      const h = schedulerHarness();
      await h.toServing();
      h.report(0, { idle: false });
      h.actor.send({ type: 'drain' });
      expect(h.path()).toBe('drained.quiescing');
      expect(h.actor.getSnapshot().hasTag('releasingSession')).toBe(true);
      expect(h.context().announcement.action).toBe('wait');
      expect(h.script.openLinks).toBe(1);
      h.report(0);
      expect(h.path()).toBe('drained.sessionReleased');
      expect(h.actor.getSnapshot().hasTag('releasingSession')).toBe(false);
      expect(h.script.openLinks).toBe(0);
      h.script.clock.tick(budgets.drainedTimeoutMs - 1);
      expect(h.path()).toBe('drained.sessionReleased');
      h.actor.send({ type: 'resume' });
      expect(h.path()).toBe('reconnecting.dialing');
      await h.toSession();
      // Nothing is kept: the end of the session made the server drop it.
      expect(h.path()).toBe('reRegistering.clearing.waiting');
    });

    it('does not wait for a busy rank beyond its budget', async () => {
      const h = schedulerHarness();
      await h.toServing();
      h.report(0, { idle: false });
      h.actor.send({ type: 'drain' });
      h.script.clock.tick(budgets.drainTimeoutMs);
      expect(h.path()).toBe('drained.sessionReleased');
    });

    it('a host that resumes while a rank is busy keeps the session until the copies have ended', async () => {
      const h = schedulerHarness();
      await h.toServing();
      h.report(0, { idle: false });
      h.actor.send({ type: 'drain' });
      h.actor.send({ type: 'resume' });
      expect(h.script.links[0]?.isDropped).toBe(false);
      expect(h.actor.getSnapshot().hasTag('cacheUsable')).toBe(false);
      h.report(0);
      h.script.clock.tick(budgets.redialMaxMs);
      expect(h.path()).toBe('reconnecting.dialing');
      expect(h.script.links).toHaveLength(2);
    });

    it('a host that never resumes is served again in the end', async () => {
      const h = schedulerHarness();
      await h.toServing();
      h.actor.send({ type: 'drain' });
      h.script.clock.tick(budgets.drainedTimeoutMs);
      expect(h.path()).toBe('reconnecting.dialing');
    });

    it('a drain gives up a dial under way', () => {
      const h = schedulerHarness();
      h.actor.send({ type: 'drain' });
      expect(h.path()).toBe('drained.sessionReleased');
      expect(h.script.openLinks).toBe(0);
    });
  });

  it('after a slow clear the registrations wait, spread over the time that the ranks will need, bounded', async () => {
    const h = schedulerHarness();
    await h.toSession();
    await h.script.answer('clear', { tookMs: budgets.spreadFromMs });
    expect(h.path()).toBe('reRegistering.spreading');
    expect(h.context().announcement.action).toBe('wait');
    h.script.clock.tick(2 * budgets.spreadFromMs - 1);
    expect(h.path()).toBe('reRegistering.spreading');
    h.script.clock.tick(1);
    expect(h.path()).toBe('reRegistering.announcing');
    expect(h.context().announcement.action).toBe('register');

    const slow = schedulerHarness();
    await slow.toSession();
    await slow.script.answer('clear', { tookMs: 60_000 });
    slow.script.clock.tick(budgets.spreadMaxMs);
    expect(slow.path()).toBe('reRegistering.announcing');
  });

  it('leaves a server alone for as long as it asked, bounded', async () => {
    const pushback: Fault = { kind: 'rejected', message: 'busy', retryAfterMs: 3_000 };
    const h = schedulerHarness();
    await h.toSealing();
    h.report(1, { outcome: 'pending' });
    h.report(0, { outcome: 'failed', fault: pushback });
    expect(h.path()).toBe('reRegistering.backingOff');
    // The wait that is drawn comes on top.
    h.script.clock.tick(3_000 + budgets.voidBackoffFirstMs - 1);
    expect(h.path()).toBe('reRegistering.backingOff');
    h.script.clock.tick(1);
    expect(h.path()).toBe('reRegistering.clearing.waiting');

    const dialing = schedulerHarness();
    dialing.script.tell({ type: 'link.opened' });
    await dialing.script.fail('openSession', new FaultError({ ...pushback, retryAfterMs: Number.MAX_SAFE_INTEGER }));
    expect(dialing.path()).toBe('reconnecting.waiting');
    dialing.script.clock.tick(budgets.pushbackMaxMs + budgets.redialFirstMs - 1);
    expect(dialing.path()).toBe('reconnecting.waiting');
    dialing.script.clock.tick(1);
    expect(dialing.path()).toBe('reconnecting.dialing');
  });

  it('a registration that goes twice before its first audit is reported as a conflict of ids', async () => {
    const h = schedulerHarness();
    await h.toConnected();
    const lose = async () => {
      h.script.clock.tick(budgets.auditFirstMs);
      await h.script.answer('survey', notFound);
    };
    await lose();
    expect(h.context().evidence?.fault.message).not.toContain('same instance id');
    await h.script.answer('survey', notFound);
    h.script.clock.tick(budgets.voidBackoffMaxMs);
    await h.script.answer('clear', { tookMs: 1 });
    h.deliver();
    h.report(0);
    h.report(1);
    await h.script.answer('survey', sealed);
    await lose();
    expect(h.context().evidence?.fault.message).toContain('same instance id');
  });

  it('a stop that reached nobody is unconfirmed, unless the process that held the registration is dead', async () => {
    const unreachable = { kind: 'unreachable', reason: 'refused' } as const;
    const stopped = async (h: ReturnType<typeof schedulerHarness>, boots = ['worker-0', 'worker-1']) => {
      h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
      h.actor.send({ type: 'stop' });
      for (const rank of [0, 1]) h.report(rank, { workerBootId: boots[rank]!, outcome: 'stopped' });
      await h.script.answer('unregisterAtStop', unreachable);
      return h.actor.getSnapshot().output;
    };
    const doubtful = schedulerHarness();
    await doubtful.toConnected();
    expect(await stopped(doubtful)).toEqual({ kind: 'unconfirmed', reason: 'refused' });
    const dead = schedulerHarness();
    await dead.toConnected();
    dead.actor.send({ type: 'server.died' });
    expect(await stopped(dead)).toEqual({ kind: 'clean' });
    // It was told to register before the death, and did so with whoever listens now.
    const replaced = schedulerHarness();
    await replaced.toConnected();
    replaced.actor.send({ type: 'server.died' });
    replaced.report(1, { workerBootId: 'successor' });
    expect(await stopped(replaced, ['worker-0', 'successor'])).toEqual({ kind: 'unconfirmed', reason: 'refused' });
    // Nothing was registered.
    expect(await stopped(schedulerHarness())).toEqual({ kind: 'clean' });
  });

  it('after faults stop, every machine reaches connected with no operator', async () => {
    const faults: SchedulerEvent[] = [
      { type: 'server.died' },
      { type: 'link.ended', cause: 'closed', fault: gone },
      { type: 'link.ended', cause: 'refused', fault: gone },
      { type: 'drain.announced' },
      { type: 'session.ended', fault: gone },
      { type: 'rpc.failed', fault: { kind: 'defect', message: 'what is this' } },
    ];
    const refusals: Partial<RankReport>[] = [
      { outcome: 'failed', fault: { kind: 'rejected', message: 'already registered' } },
      { outcome: 'failed', fault: { kind: 'incompatible', message: 'server=0.24.0' } },
      { outcome: 'lost', fault: { kind: 'defect', message: 'copy failed' } },
      { workerBootId: 'replacement', outcome: 'pending' },
    ];
    const strikes: ((h: ReturnType<typeof schedulerHarness>) => void)[] = [
      ...faults.map((fault) => (h: ReturnType<typeof schedulerHarness>) => h.actor.send(fault)),
      ...refusals.map((refusal) => (h: ReturnType<typeof schedulerHarness>) => h.report(0, refusal)),
    ];
    const stages: ((h: ReturnType<typeof schedulerHarness>) => unknown)[] = [
      () => {},
      (h) => h.script.tell({ type: 'link.opened' }),
      (h) => h.toSession(),
      (h) => h.toSealing(),
      (h) => h.toConnected(),
      (h) => h.toServing(),
    ];
    for (const stage of stages) {
      for (const strike of strikes) {
        const h = schedulerHarness();
        await stage(h);
        strike(h);
        for (let step = 0; step < 60 && !h.path().startsWith('connected.s'); step += 1) await h.answerAll();
        expect(h.path()).toMatch(/^connected/);
        expect(h.script.openLinks).toBe(1);
      }
    }
  });

  it('S-55: survives every event in every state it passes on the way to connected', async () => {
    const events: SchedulerEvent[] = [
      { type: 'link.opened' },
      { type: 'link.ended', cause: 'closed', fault: gone },
      { type: 'drain.announced' },
      { type: 'session.ended', fault: gone },
      { type: 'rpc.failed', fault: gone },
      { type: 'announcement.delivered', epoch: { schedulerBootId: 'boot', counter: 9 } },
      { type: 'stop' },
    ];
    const stages: ((h: ReturnType<typeof schedulerHarness>) => unknown)[] = [
      () => {},
      (h) => h.script.tell({ type: 'link.opened' }),
      (h) => h.toSession(),
      (h) => h.toSealing(),
      (h) => h.toConnected(),
    ];
    for (const stage of stages) {
      for (const event of events) {
        const h = schedulerHarness();
        await stage(h);
        h.actor.send(event);
        expect(h.errors).toEqual([]);
        expect(h.actor.getSnapshot().status).toBe('active');
      }
    }
  });

  it('S-79: tells once that a rank holds too much, why there is no proof and what to do, and once that it is over', async () => {
    const h = schedulerHarness();
    const told = () => h.told('heldLimit.reached', 'heldLimit.left');
    await h.toConnected();
    const held = (blocks: number) => ({ groupId: 1, blocks, ofBlocks: 16 });
    h.report(1, { held: held(3), proof: 'notVisible' });
    expect([told(), h.context().isAtHeldLimit]).toEqual([[], false]);
    h.report(1, { held: held(4), proof: 'notVisible' });
    h.report(0, { held: held(16), proof: 'process' });
    h.report(1);
    expect(h.context().isAtHeldLimit).toBe(true);
    h.report(0, { held: held(3) });
    h.report(0);
    expect(h.context().isAtHeldLimit).toBe(false);
    expect(told()).toMatchObject([{ type: 'heldLimit.reached', rank: 1, held: held(4) }, { type: 'heldLimit.left' }]);
    const [reached] = told();
    const { message } = reached?.type === 'heldLimit.reached' ? reached.fault : gone;
    expect(message).toContain('rank 1 holds 4 of its 16 blocks of group 1');
    expect(message).toContain('proof: none, its process is not visible');
    for (const way of ['pid namespace', 'direct: true', 'fencing', 'restart this host']) expect(message).toContain(way);
    h.report(1, { held: held(9), workerBootId: 'worker-1' });
    h.report(1, { workerBootId: 'in its place', outcome: 'pending' });
    expect(h.context().isAtHeldLimit).toBe(false);
  });

  it('declares every delay that a state waits for', () => {
    const declared = new Set(Object.keys(schedulerMachine.implementations.delays));
    expect(delaysUsedIn(schedulerMachine.root)).toEqual(declared);
  });
});
