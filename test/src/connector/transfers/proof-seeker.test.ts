import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { budgetsFrom } from '../../../../machines/index.ts';
import { ParkedThread } from '../../../../native-bindings/pthread/parked-thread.ts';
import { ProofSeeker, type ProofSeekerOptions } from '../../../../src/connector/transfers/proof-seeker.ts';
import { copyThreads } from '../../../../src/rpc/holder/memory-holder.ts';
import { own } from '../../../support/own.ts';
import { eventually, within } from '../../../support/within.ts';

const epoch = { schedulerBootId: 'boot', counter: 1 };
const DEVICE = 7;

/** Seeks the threads of this process, in whose task list they are. */
function seeker() {
  const told: string[] = [];
  const server = { link: { addresses: null } };
  const connection = { holders: [process.pid], server, isUp: false, isReadingOn: false };
  const doubts = [{ registeredIn: epoch, saves: 0, acceptedLoads: 0, otherLoads: 0 }];
  const options = {
    budgets: budgetsFrom(),
    deviceId: DEVICE,
    connection,
    doubts: () => doubts,
    hasOpen: () => true,
    service: () => null,
    registeredIn: () => null,
    prove: () => told.push('proved'),
    passed: () => {},
    onDelay: () => {},
    onChange: () => {},
  };
  return { told, doubts, proofs: own(new ProofSeeker(options as unknown as ProofSeekerOptions)) };
}

afterEach(() => {
  vi.useRealTimers();
});

/** The kernel shows a thread that has not run yet under the name of the one that started it. */
function rename(from: string, to: string): void {
  const comms = readdirSync('/proc/self/task').map((tid) => `/proc/self/task/${tid}/comm`);
  const comm = comms.find((path) => readFileSync(path, 'utf8').trimEnd() === from);
  writeFileSync(comm!, to);
}

async function pairStarted() {
  const { told, doubts, proofs } = seeker();
  const note = await proofs.register(epoch, new AbortController().signal);
  const threads = [own(ParkedThread.start(`gpu${DEVICE}-save`)), own(ParkedThread.start('not-yet'))];
  note.answered();
  note.over();
  return { told, doubts, proofs, found: note.threadsFound(), threads };
}

describe('the threads that copy for a registration', () => {
  it('are found, by a later look, once both have their names, and their end is proof', async () => {
    const { told, proofs, found, threads } = await pairStarted();
    const aLookIsOver = copyThreads(process.pid, DEVICE);
    expect(await aLookIsOver).toHaveLength(1);
    expect(proofs.doubt).toBe('held');
    rename('not-yet', `gpu${DEVICE}-load`);
    await within(20_000, 'both threads', found);
    expect(proofs.doubt).toBe('provable');
    for (const thread of threads) thread[Symbol.dispose]();
    await eventually('the proof', () => (told.includes('proved') ? true : null));
  });

  it('prove with their end also what is in doubt only later', async () => {
    const { told, doubts, proofs, found, threads } = await pairStarted();
    rename('not-yet', `gpu${DEVICE}-load`);
    await within(20_000, 'both threads', found);
    for (const thread of threads) thread[Symbol.dispose]();
    await eventually('the proof', () => (told.includes('proved') ? true : null));
    const [doubt] = doubts.splice(0);
    proofs.review();
    await new Promise(setImmediate);
    doubts.push(doubt!);
    told.splice(0);
    proofs.review();
    await eventually('the proof of what was under way', () => (told.includes('proved') ? true : null));
  });

  it('prove nothing where one of the two is never seen', async () => {
    const { told, proofs, found, threads } = await pairStarted();
    await within(20_000, 'the last look', found);
    expect(proofs.doubt).toBe('held');
    for (const thread of threads) thread[Symbol.dispose]();
    expect(told).toEqual([]);
  });

  it('are not looked for any more, nor is a timer left, when nobody wants their proof', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { proofs } = seeker();
    const note = await proofs.register(epoch, new AbortController().signal);
    note.answered();
    const found = note.threadsFound();
    while (vi.getTimerCount() === 0) await new Promise(setImmediate);
    proofs[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
    await found;
  });
});
