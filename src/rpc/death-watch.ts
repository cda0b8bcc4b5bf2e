import { type ProcessExitWatch, ProcessWatchError, watchProcessExit } from '../../native-bindings/index.ts';
import type { ConnectionAddresses } from './link.ts';
import { acceptedInode, listeningInodes, pidOfSocket } from './socket-owner.ts';

/**
 * That the process at the other end of a link can no longer touch device memory.
 * - `strong`: the process that owned the accepted end of this very connection has exited, its files closed
 * - `weak`: the connection closed abruptly, then nobody listened at the address or another socket did, then the
 *   settling time passed
 */
export type ProofOfDeath = 'strong' | 'weak';

export type DeathWaiter = (proof: ProofOfDeath) => void;

/** Pid of the server that was found last at each port: nearly always the owner of the next connection too. */
const lastOwners = new Map<number, number>();

/**
 * Watches the server behind one link. After the link has ended it lasts as long as somebody waits, and holds nothing of
 * the link.
 */
export class DeathWatch {
  /** Called when the link has ended and nobody waits any more. */
  onForgotten: () => void = () => {};
  #settleMs: number;
  #waiters = new Set<DeathWaiter>();
  #isLinkOver = false;
  #proof: ProofOfDeath | null = null;
  #pid: number | null = null;
  #isClosed = false;
  #isDisposed = false;
  #port: number | null = null;
  #listeners: readonly string[] = [];
  #processWatch: ProcessExitWatch | null = null;
  #settling: NodeJS.Timeout | undefined;

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /** Whether somebody waits for this death. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Calls `waiter`, once and never after dispose, until the function that comes back is called. */
  watch(waiter: DeathWaiter): () => void {
    this.#waiters.add(waiter);
    const proof = this.#proof;
    if (proof !== null) queueMicrotask(() => this.#waiters.has(waiter) && waiter(proof));
    return () => {
      this.#waiters.delete(waiter);
      this.#disposeIfForgotten();
    };
  }

  /** The process that owns the other end; `null` until it is found, and where it cannot be seen. */
  get pid(): number | null {
    return this.#pid;
  }

  /** Sockets that listened at the address while the link was up. */
  get listeners(): readonly string[] {
    return this.#listeners;
  }

  /** The link is up: finds the process that holds its other end, while it must still be there. */
  async identify(ends: ConnectionAddresses): Promise<void> {
    await this.observePort(ends.remotePort);
    const inode = await acceptedInode(ends);
    if (this.#isClosed || this.#isDisposed || inode === null) return;
    const pid = await pidOfSocket(inode, lastOwners.get(ends.remotePort) ?? null);
    if (pid === null) return;
    const watch = tryWatching(pid);
    // Seen to hold the socket once more after the watch began: the pid was not handed on in between.
    const isOwner = watch !== null && (await pidOfSocket(inode, pid)) === pid;
    if (!isOwner || this.#isDisposed) {
      watch?.[Symbol.dispose]();
      return;
    }
    lastOwners.set(ends.remotePort, pid);
    this.#processWatch = watch;
    this.#pid = pid;
    void watch.exited.then(() => this.#prove('strong'));
  }

  /** The link is up: remembers who listens at its port. */
  async observePort(port: number): Promise<void> {
    const listeners = await listeningInodes(port);
    if (this.#isClosed) return;
    this.#port = port;
    this.#listeners = listeners;
  }

  /** The link ended without our doing. */
  observeClose(): void {
    this.#isClosed = true;
  }

  /** The link has ended, whoever ended it: from now on this lasts as long as somebody waits. */
  outliveLink(): void {
    this.#isLinkOver = true;
    this.#disposeIfForgotten();
  }

  /** A dial to the same address after the close was refused. */
  observeRefusal(): void {
    if (this.#isClosed) this.#settle();
  }

  /** A dial after the close was answered; `listeners` is who listens there now. */
  observeListeners(listeners: readonly string[]): void {
    const isAnother = listeners.length > 0 && !listeners.some((inode) => this.#listeners.includes(inode));
    if (!this.#isClosed || this.#listeners.length === 0) return;
    if (isAnother) {
      this.#settle();
    } else {
      clearTimeout(this.#settling);
      this.#settling = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#settling);
    this.#processWatch?.[Symbol.dispose]();
    this.#processWatch = null;
  }

  /** Where the process is known, only its own end is proof. */
  #settle(): void {
    if (this.#processWatch !== null) return;
    this.#settling ??= setTimeout(() => void this.#judge(), this.#settleMs);
  }

  /** After a stall of our own event loop this runs before what speaks against it is read, so it looks again itself. */
  async #judge(): Promise<void> {
    const listeners = this.#port === null ? [] : await listeningInodes(this.#port).catch(() => []);
    this.#settling = undefined;
    if (!listeners.some((inode) => this.#listeners.includes(inode))) this.#prove('weak');
  }

  #prove(proof: ProofOfDeath): void {
    if (this.#isDisposed || this.#proof !== null) return;
    this.#proof = proof;
    for (const waiter of this.#waiters) waiter(proof);
  }

  #disposeIfForgotten(): void {
    if (!this.#isLinkOver || this.isAwaited) return;
    this[Symbol.dispose]();
    this.onForgotten();
  }
}

/** Some kernels and sandboxes have no pidfd: then only weak proof is to be had. */
function tryWatching(pid: number): ProcessExitWatch | null {
  try {
    return watchProcessExit(pid);
  } catch (error) {
    if (error instanceof ProcessWatchError) return null;
    throw error;
  }
}
