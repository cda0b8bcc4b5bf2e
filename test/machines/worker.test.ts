import { describe, expect, it } from 'vitest';
import { createActor } from 'xstate';
import {
  type Announcement,
  budgetsFrom,
  type Fault,
  FaultError,
  type Proof,
  pathFrom,
  type RegistrationInput,
  type WorkerDomainEvent,
  type WorkerEvent,
  workerMachine,
} from '../../machines/index.ts';
import { delaysUsedIn } from '../support/machine-structure.ts';
import { machineClock, Script } from '../support/scripted-actors.ts';

const budgets = budgetsFrom();
const gone: Fault = { kind: 'unreachable', message: 'the server closed the connection' };
const leaseGone: Fault = { kind: 'forgotten', message: 'lease unknown', lost: 'lease' };
const forgotten: Fault = { kind: 'forgotten', message: 'instance not found', lost: 'instance' };

function harness() {
  const script = new Script();
  const actor = createActor(
    workerMachine.provide({
      actors: {
        link: script.link<WorkerEvent>(),
        register: script.promise<void, RegistrationInput>('register'),
        verify: script.promise<void, RegistrationInput>('verify'),
        awaitTransfers: script.promise<void>('awaitTransfers'),
      },
    }),
    { input: { rank: 0, workerBootId: 'worker', budgets }, clock: machineClock(script.clock) },
  );
  actor.start();
  const path = () => pathFrom(actor.getSnapshot().value);
  const context = () => actor.getSnapshot().context;
  const announce = (counter: number, action: Announcement['action'] = 'register', schedulerBootId = 'boot') =>
    actor.send({ type: 'announcement.received', announcement: { epoch: { schedulerBootId, counter }, action } });
  const isServing = () => actor.getSnapshot().hasTag('cacheUsable');
  const toConnected = async () => {
    script.tell({ type: 'link.opened' });
    announce(1);
    await script.answer('register');
  };
  return { script, actor, path, context, announce, isServing, toConnected };
}

describe('worker machine', () => {
  it.each(['link.ended', 'drain.announced'] as const)(
    'a backoff is forgotten only when a connection has lived several times as long as the one before (%s)',
    async (end) => {
      const h = harness();
      await h.toConnected();
      const lose = async () => {
        const startMs = h.script.clock.now;
        h.script.tell({ type: end, cause: 'reset', fault: gone });
        if (end === 'drain.announced') await h.script.answer('awaitTransfers');
        while (h.path() !== 'reconnecting.dialing') h.script.clock.tick(1);
        const waitedMs = h.script.clock.now - startMs;
        h.script.tell({ type: 'link.opened' });
        await h.script.answer('verify');
        expect(h.path()).toBe('connected');
        return waitedMs;
      };
      const lostAfter = (lifeMs: number) => {
        h.script.clock.tick(lifeMs);
        return lose();
      };
      expect(await lostAfter(1_000)).toBe(0);
      const waitsMs = [];
      for (let round = 0; round < 8; round += 1) waitsMs.push(await lostAfter(1_000));
      expect(waitsMs).toEqual(waitsMs.toSorted((a, b) => a - b));
      expect([waitsMs[0], waitsMs.at(-1)]).toEqual([2 * budgets.rankRedialFirstMs, budgets.rankRedialMaxMs]);
      expect(await lostAfter(budgets.outlivedMs)).toBe(0);
      expect(await lostAfter(budgets.outlivedMs)).toBe(0);
      expect(await lostAfter(budgets.outlivedMs)).toBeGreaterThan(0);
      expect(await lostAfter(4 * budgets.outlivedMs)).toBe(0);
      for (let round = 0; round < 2; round += 1) await lostAfter(4 * budgets.outlivedMs);
      expect(await lostAfter(16 * budgets.outlivedMs)).toBe(0);
      await lostAfter(16 * budgets.outlivedMs);
      expect(await lostAfter(16 * budgets.outlivedMs)).toBe(0);
    },
  );

  it('tells what would prove the death of the server when that changes', () => {
    const h = harness();
    const told: WorkerDomainEvent[] = [];
    h.actor.on('*', (event) => told.push(event));
    const found = (proof: Proof) => h.actor.send({ type: 'proof.found', proof });
    found('process');
    found('process');
    found('notVisible');
    found('notVisible');
    expect(told).toEqual([
      { type: 'proof.changed', proof: 'process', before: null },
      { type: 'proof.changed', proof: 'notVisible', before: 'process' },
    ]);
  });

  describe('what it emits of registrations and outages', () => {
    const first = { epoch: 1, action: 'register' } as const;
    const registering = () => {
      const h = harness();
      const told: WorkerDomainEvent[] = [];
      h.actor.on('*', (event) => told.push(event));
      h.script.tell({ type: 'link.opened' });
      h.announce(1);
      expect(told.splice(0)).toEqual([
        { type: 'dial.ended', outcome: 'opened' },
        { type: 'registration.began', registration: first },
      ]);
      return { ...h, told };
    };
    const ended = (outcome: string, fault: Fault | null = null) => ({
      type: 'registration.ended',
      registration: first,
      outcome,
      fault,
    });

    it('one that the server took, and one that it has lost', async () => {
      const h = registering();
      await h.script.answer('register');
      expect(h.told.splice(0)).toEqual([ended('registered'), { type: 'outage.ended', outcome: 'connected' }]);
      const fault: Fault = { kind: 'forgotten', message: 'no such device', lost: 'device' };
      h.actor.send({ type: 'rpc.failed', fault });
      expect(h.told).toEqual([
        { type: 'registration.lost', fault },
        { type: 'outage.began', fault },
      ]);
    });

    it('one that the server refused says why', async () => {
      const h = registering();
      const fault: Fault = { kind: 'rejected', message: 'no room' };
      await h.script.fail('register', new FaultError(fault));
      expect(h.told).toEqual([ended('failed', fault)]);
    });

    it.each(['link.ended', 'answer'])('one whose link was lost has failed by that (%s)', async (by) => {
      const h = registering();
      if (by === 'answer') await h.script.fail('register', new FaultError(gone));
      else h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
      expect(h.told).toEqual([ended('failed', gone)]);
    });

    it('one that another announcement overtook, or a stop', async () => {
      const overtaken = registering();
      overtaken.announce(2);
      expect(overtaken.told).toEqual([
        ended('superseded'),
        { type: 'registration.began', registration: { epoch: 2, action: 'register' } },
      ]);
      const stopped = registering();
      stopped.actor.send({ type: 'stop' });
      stopped.script.clock.tick(budgets.stopTimeoutMs);
      expect(stopped.told.map(({ type }) => type)).toEqual(['registration.ended', 'outage.ended']);
    });

    it('a stop in service is no outage', async () => {
      const h = registering();
      await h.script.answer('register');
      h.told.splice(0);
      h.announce(1, 'stop');
      await h.script.answer('awaitTransfers');
      expect(h.told).toEqual([]);
    });
  });

  it('registers when it is told to, whichever comes first, the link or the word', async () => {
    const linkFirst = harness();
    linkFirst.script.tell({ type: 'link.opened' });
    expect(linkFirst.path()).toBe('reRegistering.waiting');
    expect(linkFirst.script.started).toEqual([]);
    linkFirst.announce(1);
    expect(linkFirst.path()).toBe('reRegistering.registering.waiting');
    await linkFirst.script.answer('register');
    expect(linkFirst.path()).toBe('connected');
    expect(linkFirst.context().outcome).toBe('registered');

    const wordFirst = harness();
    wordFirst.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    expect(wordFirst.path()).toBe('reconnecting.waiting');
    wordFirst.announce(1);
    expect(wordFirst.path()).toBe('reconnecting.dialing');
    wordFirst.script.tell({ type: 'link.opened' });
    expect(wordFirst.path()).toBe('reRegistering.registering.waiting');
    expect(wordFirst.script.openLinks).toBe(1);
  });

  it('other memory is another life: it serves nothing until it was registered in another epoch, on another link', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'memory.replaced', workerBootId: 'other' });
    expect([h.isServing(), h.path()]).toEqual([false, 'reconnecting.dialing']);
    expect(h.context()).toMatchObject({ workerBootId: 'other', outcome: 'lost', registeredIn: null });
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.waiting');
    h.announce(1);
    expect(h.path()).toBe('reRegistering.waiting');
    h.announce(2);
    await h.script.answer('register');
    expect([h.isServing(), h.context().outcome]).toEqual([true, 'registered']);
  });

  it('other memory is registered in an epoch in which none was', async () => {
    const h = harness();
    h.actor.send({ type: 'memory.replaced', workerBootId: 'other' });
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    expect(h.path()).toBe('reRegistering.registering.waiting');
    await h.script.answer('register');
    expect(h.context()).toMatchObject({ workerBootId: 'other', outcome: 'registered' });
  });

  it('other memory abandons a Register of the memory before that is not answered', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.actor.send({ type: 'memory.replaced', workerBootId: 'other' });
    expect(h.context()).toMatchObject({ outcome: 'lost', attempted: null, isRegisterOpen: true });
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.waiting');
  });

  it('a worker serves only in the announced epoch and only when the server confirmed it there', async () => {
    const h = harness();
    expect(h.isServing()).toBe(false);
    await h.toConnected();
    expect(h.isServing()).toBe(true);
    h.announce(2);
    expect(h.isServing()).toBe(false);
    expect(h.context().outcome).toBe('pending');
    await h.script.answer('register');
    expect(h.isServing()).toBe(true);
  });

  it('at most one Register of a rank is outstanding and none is cancelled while its link is up', async () => {
    const h = harness();
    const told: unknown[] = [];
    h.actor.on('*', (event) => told.push(event));
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.announce(2);
    h.announce(3);
    expect(h.script.pending).toEqual(['register']);
    h.script.clock.tick(budgets.stalledAfterMs);
    expect(h.path()).toBe('reRegistering.registering.stalled');
    expect(h.context().fault?.message).toContain('registration stalled');
    expect(h.script.pending).toEqual(['register']);
    await h.script.answer('register');
    expect(told).toContainEqual({ type: 'answer.late' });
    expect(h.context().outcome).toBe('pending');
    expect(h.script.pending).toEqual(['register']);
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
    expect(h.context().attempted?.counter).toBe(3);
  });

  it('a stalled Register ends with its link at the end of the budget', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.script.clock.tick(budgets.stalledAfterMs + budgets.stalledTimeoutMs);
    expect(h.path()).toBe('reconnecting.dialing');
    expect(h.script.links[0]?.isDropped).toBe(true);
  });

  it('a rank registers at most once in an epoch', async () => {
    const ends: ((h: ReturnType<typeof harness>) => unknown)[] = [
      ({ script }) => script.tell({ type: 'link.ended', cause: 'closed', fault: gone }),
      ({ script }) => script.fail('register', new FaultError(gone)),
      ({ script }) => script.tell({ type: 'drain.announced' }),
      ({ script }) => script.clock.tick(budgets.stalledAfterMs + budgets.stalledTimeoutMs),
    ];
    for (const end of ends) {
      const h = harness();
      h.script.tell({ type: 'link.opened' });
      h.announce(1);
      await end(h);
      expect(h.context()).toMatchObject({ outcome: 'failed', attempted: { counter: 1 } });
      if (h.script.pending.includes('awaitTransfers')) await h.script.answer('awaitTransfers');
      if (h.path() === 'reconnecting.waiting') h.script.clock.tick(budgets.rankRedialMaxMs);
      h.script.tell({ type: 'link.opened' });
      expect(h.path()).toBe('reRegistering.waiting');
      expect(h.script.pending).toEqual([]);
      h.announce(2);
      await h.script.answer('register');
      expect(h.path()).toBe('connected');
    }
  });

  it('a rank that is told to register and finds nobody does not register with who comes next', async () => {
    const h = harness();
    h.announce(1);
    h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
    expect(h.context()).toMatchObject({ outcome: 'failed', fault: gone });
    h.script.clock.tick(budgets.rankRedialMaxMs);
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.waiting');
    h.announce(2);
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('a rank that lost only its link stays in its epoch', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    expect(h.path()).toBe('reconnecting.dialing');
    expect(h.isServing()).toBe(false);
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('degraded.verifying');
    await h.script.answer('verify');
    expect(h.path()).toBe('connected');
    expect(h.context().outcome).toBe('registered');
    expect(h.script.started).toEqual(['register', 'verify']);
  });

  it('a rank that is told to wait finds the server, serves nothing and asks nothing, and keeps its word', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
    expect(h.path()).toBe('reconnecting.waiting');
    h.announce(1, 'wait');
    expect(h.path()).toBe('reconnecting.dialing');
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context().outcome).toBe('registered');
    expect(h.script.started).toEqual(['register']);

    const linked = harness();
    await linked.toConnected();
    linked.announce(1, 'wait');
    expect(linked.isServing()).toBe(false);
    linked.announce(2, 'keep');
    await linked.script.answer('verify');
    expect(linked.isServing()).toBe(true);
  });

  it('a rank whose registration the server denied says so, whatever a later probe would find, and waits for the scheduler', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: forgotten });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context()).toMatchObject({ outcome: 'lost', fault: forgotten });
    expect(h.script.started).toEqual(['register']);
    h.announce(2);
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('an ambiguous answer that the check does not confirm changes nothing', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: leaseGone });
    await h.script.answer('verify');
    expect(h.path()).toBe('connected');
    expect(h.context().outcome).toBe('registered');
  });

  it('a copy that failed after it was accepted refutes the registration without a check, which could not see it', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context().outcome).toBe('lost');
    expect(h.script.started).toEqual(['register']);
  });

  it('a refutation that arrives during a check outweighs what the check says', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: leaseGone });
    expect(h.path()).toBe('degraded.verifying');
    h.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context().outcome).toBe('lost');
    expect(h.script.pending).toEqual([]);
  });

  it('an odd answer drops no living link: other transfers on it may still be answered', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'unreachable', message: 'Unavailable: busy' } });
    expect(h.path()).toBe('degraded.verifying');
    expect(h.script.openLinks).toBe(1);
    await h.script.answer('verify');
    expect(h.path()).toBe('connected');
    h.actor.send({ type: 'rpc.failed', fault: gone });
    await h.script.fail('verify', new FaultError(gone));
    expect(h.path()).toBe('reconnecting.waiting');
    expect(h.script.openLinks).toBe(0);
  });

  it('a rank that lost its link before the last one had registered stays registered', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.tell({ type: 'link.opened' });
    const incomplete: Fault = { kind: 'forgotten', message: 'registration incomplete: 1/2', lost: 'seal' };
    await h.script.fail('verify', new FaultError(incomplete));
    expect(h.path()).toBe('connected');
    expect(h.context().outcome).toBe('registered');
  });

  it('a denial that arrives during a check outweighs what the check says, an ambiguous fault does not', async () => {
    const h = harness();
    await h.toConnected();
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'timedOut', message: 'no answer' } });
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'lease unknown', lost: 'lease' } });
    expect(h.path()).toBe('degraded.verifying');
    h.actor.send({ type: 'rpc.failed', fault: { kind: 'forgotten', message: 'not found', lost: 'instance' } });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context().outcome).toBe('lost');
  });

  it('a keep is confirmed by a check of the rank itself, or refused', async () => {
    const h = harness();
    await h.toConnected();
    h.announce(2, 'keep');
    await h.script.answer('verify');
    expect(h.context().outcome).toBe('kept');
    expect(h.path()).toBe('connected');
    h.announce(3, 'keep');
    await h.script.fail('verify', new FaultError(forgotten));
    expect(h.context()).toMatchObject({ outcome: 'failed', fault: forgotten });
    expect(h.path()).toBe('reRegistering.waiting');
  });

  it('a rank without a registration of its own vouches for nothing: what it would find is somebody else’s', async () => {
    const replacement = harness();
    replacement.script.tell({ type: 'link.opened' });
    replacement.announce(7, 'keep');
    expect(replacement.context().outcome).toBe('failed');
    expect(replacement.script.started).toEqual([]);

    const doubtful = harness();
    await doubtful.toConnected();
    doubtful.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } });
    doubtful.announce(2, 'keep');
    expect(doubtful.context()).toMatchObject({ outcome: 'failed', fault: { message: 'copy failed' } });
    expect(doubtful.script.pending).toEqual([]);
  });

  it('a refutation that arrives while the link is gone is not forgotten over the redial', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } });
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context().outcome).toBe('lost');
  });

  describe('one late message of an old scheduler does not silence the new one', () => {
    const word = (schedulerBootId: string, counter: number, number: number, recalls?: Announcement['recalls']) => ({
      epoch: { schedulerBootId, counter },
      action: 'register' as const,
      number,
      ...(recalls ? { recalls } : {}),
    });
    const ledAway = async () => {
      const h = harness();
      const hear = (announcement: Announcement) => h.actor.send({ type: 'announcement.received', announcement });
      h.script.tell({ type: 'link.opened' });
      hear(word('living', 3, 12));
      await h.script.answer('register');
      hear(word('dead', 9, 40));
      await h.script.answer('register');
      expect(h.context().announcement?.epoch.schedulerBootId).toBe('dead');
      return { ...h, hear };
    };

    it('S-73: the scheduler that it put aside recalls the rank with its next word', async () => {
      const h = await ledAway();
      const { turn, formerSchedulers } = h.context();
      expect([turn, formerSchedulers.map(({ schedulerBootId }) => schedulerBootId)]).toEqual([1, ['living']]);
      h.hear(word('living', 4, 14, [{ workerBootId: 'worker', turn: 1 }]));
      await h.script.answer('register');
      expect(h.context().announcement?.epoch).toEqual({ schedulerBootId: 'living', counter: 4 });
      expect(h.path()).toBe('connected');
    });

    it('no word that was said before the change brings a scheduler back, whatever its number', async () => {
      const h = await ledAway();
      h.hear(word('living', 3, 12));
      h.hear(word('living', 5, 16));
      h.hear(word('living', 5, 16, [{ workerBootId: 'worker', turn: 0 }]));
      h.hear(word('living', 5, 16, [{ workerBootId: 'another', turn: 1 }]));
      expect(h.context().announcement?.epoch.schedulerBootId).toBe('dead');
    });

    it('a stop of a scheduler that the rank does not follow ends nothing', async () => {
      const h = harness();
      await h.toConnected();
      h.announce(4, 'stop', 'never followed');
      expect(h.path()).toBe('connected');
      expect(h.context().announcement?.epoch.schedulerBootId).toBe('boot');
    });
  });

  it('a rank that is told to dial afresh leaves its link before it registers, once', async () => {
    const h = harness();
    await h.toConnected();
    const epoch = { schedulerBootId: 'boot', counter: 2 };
    const announcement = { epoch, action: 'register', number: 7, dialsAfresh: true } as const;
    h.actor.send({ type: 'announcement.received', announcement });
    expect([h.path(), h.script.links.length, h.script.openLinks]).toEqual(['reconnecting.dialing', 2, 1]);
    h.script.tell({ type: 'link.opened' });
    expect(h.path()).toBe('reRegistering.registering.waiting');
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('of one scheduler the later word counts, also within an epoch', async () => {
    const h = harness();
    const hear = (announcement: Announcement) => h.actor.send({ type: 'announcement.received', announcement });
    const epoch = { schedulerBootId: 'boot', counter: 1 };
    hear({ epoch, action: 'wait', number: 4 });
    hear({ epoch, action: 'wait', number: 6 });
    expect(h.context().announcement?.number).toBe(6);
    hear({ epoch: { ...epoch, counter: 2 }, action: 'register', number: 5 });
    expect(h.context().announcement).toMatchObject({ epoch, action: 'wait', number: 6 });
  });

  it('a Register counts as open until it, or a later one, was answered', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    expect(h.context().isRegisterOpen).toBe(true);
    h.script.tell({ type: 'link.ended', cause: 'reset', fault: gone });
    h.script.clock.tick(budgets.rankRedialFirstMs);
    h.script.tell({ type: 'link.opened' });
    expect(h.context().isRegisterOpen).toBe(true);
    h.announce(2);
    await h.script.fail('register', new FaultError({ kind: 'rejected', message: 'already registered' }));
    expect(h.context().isRegisterOpen).toBe(false);
    h.announce(3);
    await h.script.answer('register');
    expect(h.context().isRegisterOpen).toBe(false);
  });

  it('a rank that gives up its Register over a stop says so when it has stopped', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.announce(1, 'stop');
    h.script.clock.tick(budgets.stopTimeoutMs / 4);
    await h.script.answer('awaitTransfers');
    expect([h.context().outcome, h.context().isRegisterOpen]).toEqual(['stopped', true]);
  });

  it('late words of a scheduler that was replaced count for nothing', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(5, 'register', 'old');
    await h.script.answer('register');
    h.announce(1, 'register', 'new');
    await h.script.answer('register');
    h.announce(6, 'register', 'old');
    h.announce(6, 'stop', 'old');
    expect(h.path()).toBe('connected');
    expect(h.context().announcement?.epoch).toEqual({ schedulerBootId: 'new', counter: 1 });
  });

  it('a scheduler that was put aside by a late word of its dead predecessor is obeyed again', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(3, 'register', 'living');
    await h.script.answer('register');
    h.announce(9, 'register', 'dead');
    await h.script.answer('register');
    h.announce(4, 'register', 'living');
    expect(h.context().announcement?.epoch.schedulerBootId).toBe('dead');
    h.announce(5, 'register', 'living');
    await h.script.answer('register');
    h.announce(9, 'stop', 'dead');
    expect(h.path()).toBe('connected');
    expect(h.context().announcement?.epoch).toEqual({ schedulerBootId: 'living', counter: 5 });
  });

  it('a late stop of a scheduler that was replaced does not end a rank that is registering', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(5, 'register', 'old');
    await h.script.answer('register');
    h.announce(1, 'register', 'new');
    h.announce(5, 'stop', 'old');
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('a refutation that arrives while a rank waits for the scheduler is not forgotten over the keep', async () => {
    const h = harness();
    await h.toConnected();
    h.announce(1, 'wait');
    h.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } });
    expect(h.context().outcome).toBe('lost');
    h.announce(2, 'keep');
    expect(h.context()).toMatchObject({ outcome: 'failed', fault: { message: 'copy failed' } });
  });

  it('a keep leaves the registration what it was: evidence against it counts, also during the check', async () => {
    const h = harness();
    await h.toConnected();
    expect(h.context().registeredIn?.counter).toBe(1);
    h.announce(2, 'keep');
    expect(h.context().registeredIn?.counter).toBe(1);
    h.actor.send({ type: 'registration.refuted', fault: { kind: 'defect', message: 'failed to copy' } });
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.script.pending).toEqual([]);
    expect(h.context()).toMatchObject({ outcome: 'lost', fault: { message: 'failed to copy' } });
    h.announce(3, 'register');
    expect(h.context().registeredIn).toBe(null);
    await h.script.answer('register');
    expect(h.context().registeredIn?.counter).toBe(3);
  });

  it('a stop that is announced to a rank on a draining server does not wait for the drain', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'drain.announced' });
    h.announce(1, 'stop');
    expect(h.path()).toBe('stopping');
  });

  it('a wait never brings an unverified or a draining rank into service', async () => {
    const unverified = harness();
    await unverified.toConnected();
    unverified.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    unverified.script.tell({ type: 'link.opened' });
    unverified.announce(1, 'wait');
    expect(unverified.isServing()).toBe(false);

    const draining = harness();
    await draining.toConnected();
    draining.script.tell({ type: 'drain.announced' });
    draining.announce(1, 'wait');
    expect(draining.path()).toBe('degraded.draining');
    await draining.script.answer('awaitTransfers');
    draining.script.tell({ type: 'link.opened' });
    expect(draining.path()).toBe('reRegistering.waiting');
  });

  it('a wait is the last word on its epoch but for the stop: what was said before it and comes late is stale', async () => {
    const h = harness();
    await h.toConnected();
    h.announce(1, 'wait');
    h.announce(1, 'register');
    expect(h.isServing()).toBe(false);
    expect(h.path()).toBe('reRegistering.waiting');

    const early = harness();
    early.script.tell({ type: 'link.opened' });
    early.announce(1, 'wait');
    early.announce(1, 'register');
    expect(early.script.pending).toEqual([]);
    early.announce(1, 'stop');
    expect(early.path()).toBe('stopping');
  });

  it('a Register that is answered after the wait is confirmed, and nothing is served', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.announce(1, 'wait');
    await h.script.answer('register');
    expect(h.context().outcome).toBe('registered');
    expect(h.isServing()).toBe(false);
    expect(h.path()).toBe('reRegistering.waiting');
  });

  it('a server that accepts and closes again and again is dialled with a backoff', async () => {
    const h = harness();
    for (let round = 0; round < 50 && h.script.openLinks > 0; round += 1) {
      h.script.tell({ type: 'link.opened' });
      h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    }
    expect(h.script.links).toHaveLength(1);
    expect(h.path()).toBe('reconnecting.waiting');
  });

  it('a server that refuses a Register or a check on a living link is not stormed', async () => {
    const busy: Fault = { kind: 'unreachable', message: 'busy', retryAfterMs: 700 };
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    await h.script.fail('register', new FaultError(busy));
    expect(h.path()).toBe('reconnecting.waiting');
    h.script.clock.tick(700 + budgets.rankRedialFirstMs - 1);
    expect(h.path()).toBe('reconnecting.waiting');
    h.script.clock.tick(1);
    expect(h.path()).toBe('reconnecting.dialing');

    const kept = harness();
    await kept.toConnected();
    kept.announce(2, 'keep');
    await kept.script.fail('verify', new FaultError(gone));
    expect(kept.path()).toBe('reconnecting.waiting');
  });

  it('a scheduler that comes back with a new boot id is obeyed', async () => {
    const h = harness();
    await h.toConnected();
    h.announce(0, 'wait', 'boot-again');
    expect(h.isServing()).toBe(false);
    expect(h.path()).toBe('reRegistering.waiting');
    h.announce(1, 'register', 'boot-again');
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('repeated and late announcements do nothing', async () => {
    const h = harness();
    await h.toConnected();
    h.announce(2);
    await h.script.answer('register');
    h.announce(2);
    h.announce(1);
    expect(h.path()).toBe('connected');
    expect(h.script.started).toEqual(['register', 'register']);
  });

  it('a refused registration is reported and not retried', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    const refused: Fault = { kind: 'rejected', message: 'context is already registered' };
    await h.script.fail('register', new FaultError(refused));
    expect(h.path()).toBe('reRegistering.waiting');
    expect(h.context()).toMatchObject({ outcome: 'failed', fault: refused });
    h.script.clock.tick(600_000);
    expect(h.script.started).toEqual(['register']);
  });

  it('another version parks the rank until the scheduler announces again', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    await h.script.fail('register', new FaultError({ kind: 'incompatible', message: 'server=0.24.0' }));
    expect(h.path()).toBe('incompatible');
    expect(h.context().outcome).toBe('failed');
    h.announce(2);
    await h.script.answer('register');
    expect(h.path()).toBe('connected');
  });

  it('ranks do not poll: a refused dial waits for the word, or long', async () => {
    const h = harness();
    h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone });
    h.script.clock.tick(budgets.rankRedialFirstMs - 1);
    expect(h.script.links).toHaveLength(1);
    for (let second = 0; second < 60; second += 1) {
      h.script.clock.tick(1_000);
      if (h.path() === 'reconnecting.dialing') h.script.tell({ type: 'link.ended', cause: 'refused', fault: gone });
    }
    expect(h.script.links.length).toBeLessThan(70);
  });

  it('on a draining server the transfers under way end first', async () => {
    const h = harness();
    await h.toConnected();
    h.script.tell({ type: 'drain.announced' });
    expect(h.path()).toBe('degraded.draining');
    expect(h.isServing()).toBe(false);
    expect(h.script.openLinks).toBe(1);
    await h.script.answer('awaitTransfers');
    expect(h.path()).toBe('reconnecting.dialing');
  });

  it('stops within its budget in every state, by command and by announcement', async () => {
    const stages: ((h: ReturnType<typeof harness>) => unknown)[] = [
      () => {},
      (h) => h.script.tell({ type: 'link.ended', cause: 'closed', fault: gone }),
      (h) => h.script.tell({ type: 'link.opened' }),
      (h) => {
        h.script.tell({ type: 'link.opened' });
        h.announce(1);
      },
      (h) => h.toConnected(),
      (h) => h.toConnected().then(() => h.actor.send({ type: 'rpc.failed', fault: forgotten })),
    ];
    for (const stage of stages) {
      for (const stop of [(h: ReturnType<typeof harness>) => h.actor.send({ type: 'stop' }), announceStop]) {
        const h = harness();
        await stage(h);
        stop(h);
        expect(h.isServing()).toBe(false);
        h.script.clock.tick(budgets.stopTimeoutMs / 2);
        expect(h.actor.getSnapshot().status).toBe('done');
        expect(h.context().outcome).toBe('stopped');
        expect(h.script.openLinks).toBe(0);
        expect(h.script.clock.countTimers()).toBe(0);
      }
    }
  });

  it('after faults stop, every machine reaches connected with no operator', async () => {
    const faults: WorkerEvent[] = [
      { type: 'link.ended', cause: 'closed', fault: gone },
      { type: 'link.ended', cause: 'refused', fault: gone },
      { type: 'drain.announced' },
      { type: 'rpc.failed', fault: leaseGone },
      { type: 'rpc.failed', fault: forgotten },
      { type: 'registration.refuted', fault: { kind: 'defect', message: 'copy failed' } },
    ];
    const stages: ((h: ReturnType<typeof harness>) => unknown)[] = [
      () => {},
      (h) => h.script.tell({ type: 'link.opened' }),
      (h) => h.announce(1),
      (h) => {
        h.script.tell({ type: 'link.opened' });
        h.announce(1);
      },
      (h) => h.toConnected(),
    ];
    for (const stage of stages) {
      for (const fault of faults) {
        const h = harness();
        await stage(h);
        h.actor.send(fault);
        h.announce(2);
        for (let step = 0; step < 40 && h.path() !== 'connected'; step += 1) {
          if (h.path() === 'reconnecting.dialing') h.script.tell({ type: 'link.opened' });
          const [call] = h.script.pending;
          if (call) await h.script.answer(call);
          else h.script.clock.tick(1_000);
        }
        expect(h.path()).toBe('connected');
        expect(h.context().attempted?.counter).toBe(2);
        expect(h.script.openLinks).toBe(1);
      }
    }
  });

  it('a Register that is answered during the stop does not bring the rank back', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.actor.send({ type: 'stop' });
    expect(h.path()).toBe('reRegistering.registering.stopping');
    h.announce(2);
    h.announce(1, 'wait');
    await h.script.answer('register');
    expect(h.path()).toBe('stopping');
    await h.script.answer('awaitTransfers');
    expect(h.actor.getSnapshot().status).toBe('done');
  });

  it('a drain that is announced during the stop neither prolongs it nor brings the rank back', async () => {
    const h = harness();
    h.script.tell({ type: 'link.opened' });
    h.announce(1);
    h.actor.send({ type: 'stop' });
    h.script.tell({ type: 'drain.announced' });
    h.announce(2);
    h.script.clock.tick(budgets.stopTimeoutMs / 2);
    expect(h.actor.getSnapshot().status).toBe('done');
    expect(h.context().outcome).toBe('stopped');
  });

  it('declares every delay that a state waits for', () => {
    expect(delaysUsedIn(workerMachine.root)).toEqual(new Set(Object.keys(workerMachine.implementations.delays)));
  });
});

function announceStop(h: ReturnType<typeof harness>): void {
  h.announce(h.context().announcement?.epoch.counter ?? 0, 'stop');
}
