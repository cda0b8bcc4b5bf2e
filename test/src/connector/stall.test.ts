/** A host whose event loop stands still: what waits in its sockets is read before its late timers judge. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { removeShmObjectsOf } from '../../native-bindings/shm-objects.ts';
import { hashesOf } from '../../support/engine-rank.ts';
import { atEnd, own } from '../../support/own.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { stallEventLoop } from '../../support/stall-event-loop.ts';
import { startEngine } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually, within } from '../../support/within.ts';

class StallingHost {
  #child: ChildProcess;

  constructor(engine: ServerProcess) {
    const path = fileURLToPath(new URL('../../support/stalling-host.ts', import.meta.url));
    const child = fork(path, [`http://${engine.grpcAddress}`]);
    const exited = once(child, 'exit');
    atEnd(async () => {
      child.kill('SIGKILL');
      await exited;
      removeShmObjectsOf(child.pid!);
    });
    this.#child = child;
  }

  tell(command: string): void {
    this.#child.send(command);
  }

  /** What it answers to this command. */
  async did<T>(command: string): Promise<T> {
    const answer = this.#hear((message) => (message as { name?: string }).name === command);
    this.tell(command);
    return ((await within(30_000, command, answer)) as { result: T }).result;
  }

  /** Settles when it is about to stand still. */
  async stands(): Promise<void> {
    const stalled = this.#hear((message) => message === 'stalled');
    this.tell('stall');
    await within(10_000, 'the stall', stalled);
  }

  #hear(isWanted: (message: unknown) => boolean): Promise<unknown> {
    return new Promise((resolve) => {
      const listen = (message: unknown) => {
        if (!isWanted(message)) return;
        this.#child.off('message', listen);
        resolve(message);
      };
      this.#child.on('message', listen);
    });
  }
}

describe('a stalled event loop', () => {
  it('S-49: takes no healthy server for dead, however late its own timers run', async () => {
    const host = new StallingHost(await startEngine());
    await host.did('connect');
    await host.did('stall');
    await host.did('stall');
    const { states, ...work } = await host.did<{ states: string[] }>('work');
    expect(work).toMatchObject({ stats: { unsafeReleases: 0 }, epoch: 1 });
    // An audit whose question left late may be repeated; no link is given up for it.
    expect(states.filter((state) => state !== 'degraded' && state !== 'connected')).toEqual([]);
  });

  it('S-49: an answer that arrived during the stall counts, although its deadline has passed too', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { queryTimeoutMs: 3_000 };
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1, budgets }).start());
    await instance.reached('connected');
    await engine.fault({ methods: { queryPrefetch: { delayMs: 1_500, times: 1 } } });
    const asked = instance.scheduler.query({ requestId: 'asks', blockHashes: hashesOf(1) });
    await eventually('the query at the server', async () => {
      const { text } = await engine.http('GET', '/faults');
      return JSON.parse(text).methods.queryPrefetch?.times === 0 ? true : null;
    });
    stallEventLoop(3_500);
    expect(await asked).toEqual({ kind: 'miss', reason: 'notCached' });
  });

  it('S-49: a save that was answered during the stall is not released unsafely although the time for that has passed too', async () => {
    const engine = await startEngine({ hasRpcFaults: true });
    const budgets = { unsafeReleaseAfterMs: 1_500 };
    const instance = own(new TestInstance(`http://${engine.grpcAddress}`, { worldSize: 1, budgets }).start());
    await instance.reached('connected');
    await engine.fault({ methods: { save: { delayMs: 1_000, times: 1 } } });
    instance.scheduler.scheduleSave({ requestId: 'saves', blockIds: [0], blockHashes: hashesOf(1) });
    instance.step();
    await eventually('the save at the server', async () => {
      const { text } = await engine.http('GET', '/faults');
      return JSON.parse(text).methods.save?.times === 0 ? true : null;
    });
    const worker = instance.workers[0]!;
    const preempted = worker.handlePreemptions(['saves']);
    stallEventLoop(4_000);
    expect(await preempted).toEqual({ unsafe: [] });
    expect(worker.stats).toMatchObject({ saves: { succeeded: 1 }, unsafeReleases: 0 });
  });

  it('S-49: a server that dies during the stall is proved dead after it, by its process', async () => {
    const engine = await startEngine();
    const host = new StallingHost(engine);
    await host.did('connect');
    await engine.fault({ copyDelayMs: 60_000 });
    const taken = engine.nextLogged('RPC [load]');
    await host.did('startLoad');
    await taken;
    await host.stands();
    engine.signal('SIGKILL');
    await engine.exited;
    // Not by its quarantine, which a proof that is read before the end of the link leaves empty.
    const ended = { record: 0, answer: 0, weakProof: 0, threadsGone: 0, unsafeRelease: 0 };
    expect(await host.did('endLoad')).toMatchObject({ failedLoads: ['loads'], ended, unsafeReleases: 0 });
  });
});
