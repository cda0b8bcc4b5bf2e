import { describe, expect, it } from 'vitest';
import type { ReportedDistrust } from '../../../../machines/index.ts';
import { Distrust } from '../../../../src/connector/scheduler/distrust.ts';
import { UnsafeSaves } from '../../../../src/connector/transfers/unsafe-saves.ts';
import type { DeathWaiter } from '../../../../src/rpc/holder/death-watch.ts';
import { hashesOf } from '../../../support/engine-rank.ts';

const hashes = hashesOf(4);

function said(workerBootId: string, revision: number, of: ReportedDistrust['hashes']) {
  return { workerBootId, distrust: { revision, hashes: of } };
}

/** The server behind a link, whose death the test decides. */
class MortalServer {
  /** `null`: its process cannot be seen. */
  readonly pid: number | null;
  #waiters = new Set<DeathWaiter>();

  constructor(pid: number | null = null) {
    this.pid = pid;
  }

  watch(waiter: DeathWaiter): () => void {
    this.#waiters.add(waiter);
    return () => this.#waiters.delete(waiter);
  }

  die(): void {
    for (const waiter of [...this.#waiters]) waiter('strong');
  }

  get isWatched(): boolean {
    return this.#waiters.size > 0;
  }
}

describe('what a scheduler does not trust', () => {
  it('trusts everything until a rank speaks, then only what comes before the first hash that any rank named', () => {
    const distrust = new Distrust();
    expect(distrust.accept({ workerBootId: 'a' })).toBe(false);
    expect(distrust.trustedPrefix(hashes)).toBe(4);
    expect(distrust.accept(said('a', 1, [hashes[3]!]))).toBe(true);
    expect(distrust.accept(said('b', 1, [hashes[2]!]))).toBe(true);
    expect(distrust.trustedPrefix(hashes)).toBe(2);
    expect(distrust.trustedPrefix(hashes.slice(0, 2))).toBe(2);
    expect(distrust.trustedPrefix(hashes.slice(2))).toBe(0);
  });

  it('a repeat is no news, and a late report brings nothing back and takes nothing away', () => {
    const distrust = new Distrust();
    distrust.accept(said('a', 2, [hashes[0]!]));
    expect(distrust.accept(said('a', 2, [hashes[0]!]))).toBe(false);
    distrust.accept(said('a', 1, []));
    expect(distrust.trustedPrefix(hashes)).toBe(0);
    distrust.accept(said('a', 3, []));
    distrust.accept(said('a', 2, [hashes[0]!]));
    expect(distrust.trustedPrefix(hashes)).toBe(4);
  });

  it('a rank that is replaced takes nothing back: the new process knows nothing of the old one’s saves', () => {
    const distrust = new Distrust();
    distrust.accept(said('old', 1, [hashes[1]!]));
    distrust.accept({ workerBootId: 'new' });
    distrust.accept(said('new', 1, []));
    expect(distrust.trustedPrefix(hashes)).toBe(1);
  });

  it('a rank that cannot name them all makes every hit a miss', () => {
    const distrust = new Distrust();
    distrust.accept(said('a', 1, 'all'));
    expect(distrust.trustedPrefix(hashes)).toBe(0);
  });
});

describe('what a rank reports of its unsafe saves', () => {
  it('names their hashes until their server is dead, each for its own server', () => {
    const [first, second] = [new MortalServer(), new MortalServer()];
    const revisions: number[] = [];
    const saves = new UnsafeSaves(() => revisions.push(saves.distrust?.revision ?? 0));
    expect(saves.distrust).toBe(null);
    saves.add(first, hashes.slice(0, 2));
    saves.add(second, hashes.slice(2));
    expect(saves.distrust?.hashes).toEqual(hashes);
    first.die();
    expect(saves.distrust?.hashes).toEqual(hashes.slice(2));
    second.die();
    expect(saves.distrust).toEqual({ revision: 4, hashes: [] });
    expect(revisions).toEqual([1, 2, 3, 4]);
    expect([first.isWatched, second.isWatched]).toEqual([false, false]);
  });

  it('waits once for one server, whose links may have been lost many times', () => {
    const [first, again, other] = [new MortalServer(7), new MortalServer(7), new MortalServer(8)];
    const saves = new UnsafeSaves(() => {});
    for (const [index, server] of [first, again, other].entries()) saves.add(server, [hashes[index]!]);
    expect([first.isWatched, again.isWatched, other.isWatched]).toEqual([true, false, true]);
    expect(saves.distrust?.hashes).toEqual(hashes.slice(0, 3));
    first.die();
    expect(saves.distrust?.hashes).toEqual([hashes[2]]);
  });

  it('keeps each hash once, and nothing of the message that brought it', () => {
    const saves = new UnsafeSaves(() => {});
    const message = new Uint8Array(1 << 16).fill(7);
    for (const server of [new MortalServer(7), new MortalServer(7)]) saves.add(server, [message.subarray(0, 32)]);
    const kept = saves.distrust?.hashes;
    expect(kept).toEqual([message.slice(0, 32)]);
    expect(kept).toMatchObject([{ buffer: { byteLength: 32 } }]);
  });

  it('says "all" beyond its bound, and names them again below it', () => {
    const server = new MortalServer();
    const saves = new UnsafeSaves(() => {});
    saves.add(new MortalServer(), hashesOf(2_048));
    expect(saves.distrust?.hashes).toHaveLength(2_048);
    saves.add(server, hashesOf(1, 'one more'));
    expect(saves.distrust?.hashes).toBe('all');
    server.die();
    expect(saves.distrust?.hashes).toHaveLength(2_048);
  });
});
