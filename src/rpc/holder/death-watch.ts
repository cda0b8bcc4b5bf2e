import type { NoProof } from '../../../machines/index.ts';
import type { ConnectionAddresses } from '../link.ts';
import { HolderWatch } from './holder-watch.ts';
import { acceptedInode, isSocketThere, listeningInodes } from './socket-owner.ts';

/**
 * That nobody behind a link can touch device memory any more.
 * - `strong`: every process that held our memory has exited, its files closed
 * - `weak`: its processes cannot be seen, the host has declared that nothing stands between, and the listening socket and the
 *   accepted one were gone, and still were after the settling time, although our end had not been closed by us
 */
export type ProofOfDeath = 'strong' | 'weak';

export type DeathWaiter = (proof: ProofOfDeath) => void;

export interface DeathWatchOptions {
  /** From the end of both sockets to the weak proof, in milliseconds. */
  readonly settleMs: number;
  /** Nothing stands between us and the server: its sockets are its own. */
  readonly isDirect: boolean;
}

/** The server's ends, as they were while the link was up. */
interface Sockets {
  readonly port: number;
  readonly accepted: string;
  readonly listeners: readonly string[];
}

/**
 * Waits for the death of the server behind one link that holds what was registered last. Once retired it lasts as long as
 * somebody waits, and holds nothing of the link.
 */
export class DeathWatch {
  #options: DeathWatchOptions;
  #waiters = new Set<DeathWaiter>();
  #endListeners: (() => void)[] = [];
  #isRetired = false;
  #proof: ProofOfDeath | null = null;
  #found: HolderWatch | NoProof | null = null;
  #isClosed = false;
  #isDisposed = false;
  #sockets: Sockets | null = null;
  #settling: NodeJS.Timeout | undefined;

  constructor(options: DeathWatchOptions) {
    this.#options = options;
  }

  /** Whether somebody waits for this death. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Calls `listener` when it is retired and nobody waits any more. */
  atEnd(listener: () => void): void {
    this.#endListeners.push(listener);
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

  /** The process that holds our memory, the first where there are several; `null` until it is found, and where none can be seen. */
  get pid(): number | null {
    return this.holder?.pids[0] ?? null;
  }

  /** The processes that are proved to hold our memory; `null` until they are found, and where none can be seen. */
  get holder(): HolderWatch | null {
    return this.#found instanceof HolderWatch ? this.#found : null;
  }

  /** Why nobody is seen to hold our memory; `null` where somebody is, and until somebody looked. */
  get noProof(): NoProof | null {
    return this.#found instanceof HolderWatch ? null : this.#found;
  }

  /** Why nothing would prove this death; `null` where something would, and until somebody looked. */
  get unprovable(): NoProof | null {
    return this.#canSocketsProve ? null : this.noProof;
  }

  /** Who holds our memory behind this link, or why nobody can be watched. A holder that is known stays the one. */
  learn(found: HolderWatch | NoProof): void {
    if (this.#isDisposed || this.#found instanceof HolderWatch) return;
    this.#found = found instanceof HolderWatch ? found.retain() : found;
    if (found instanceof HolderWatch) void found.exited.then(() => this.#prove('strong'));
    else this.look();
  }

  /** The link is up: remembers its sockets at the server, for where nothing else is to be seen. */
  async observeSockets(ends: ConnectionAddresses): Promise<void> {
    if (!this.#options.isDirect) return;
    const [accepted, listeners] = await Promise.all([acceptedInode(ends), listeningInodes(ends.remotePort)]);
    if (this.#isClosed || accepted === null || listeners.length === 0) return;
    this.#sockets = { port: ends.remotePort, accepted, listeners };
  }

  /** The link ended without our doing, and no end had been announced. */
  observeClose(): void {
    this.#isClosed = true;
    this.look();
  }

  /** The link has ended, whoever ended it, or another registration is made on it: from now on this lasts as long as somebody waits. */
  retire(): void {
    this.#isRetired = true;
    this.#disposeIfForgotten();
  }

  /** Something may have changed at the address: looks for the sockets. A refused dial by itself says nothing. */
  look(): void {
    if (this.#isClosed && this.#canSocketsProve) void this.#lookTwice().catch(() => {});
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    clearTimeout(this.#settling);
    if (this.#found instanceof HolderWatch) this.#found[Symbol.dispose]();
    for (const listener of this.#endListeners) listener();
  }

  /** A proxy that is seen is no server, whatever was declared. */
  get #canSocketsProve(): boolean {
    return this.#sockets !== null && (this.#found === 'notVisible' || this.#found === 'unwatchable');
  }

  async #lookTwice(): Promise<void> {
    if (this.#settling !== undefined || !(await this.#areSocketsGone()) || this.#isDisposed) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      void this.#areSocketsGone().then(
        (areGone) => areGone && this.#prove('weak'),
        () => {},
      );
    }, this.#options.settleMs);
  }

  async #areSocketsGone(): Promise<boolean> {
    if (this.#sockets === null) return false;
    const { port, accepted, listeners } = this.#sockets;
    const now = await listeningInodes(port);
    return !now.some((inode) => listeners.includes(inode)) && !(await isSocketThere(accepted));
  }

  #prove(proof: ProofOfDeath): void {
    if (this.#isDisposed || this.#proof !== null) return;
    this.#proof = proof;
    for (const waiter of this.#waiters) waiter(proof);
  }

  #disposeIfForgotten(): void {
    if (this.#isRetired && !this.isAwaited) this[Symbol.dispose]();
  }
}
