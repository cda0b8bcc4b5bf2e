import type { DeathWatch } from './death-watch.ts';
import { HolderWatch } from './holder-watch.ts';
import type { ConnectionAddresses } from './link.ts';
import { holdersOf, holdsMemory, type OurMemory, ticksNow } from './memory-holder.ts';
import { acceptedInode, pidOfSocket } from './socket-owner.ts';

/**
 * Why the death of the server behind a link cannot be proved.
 * - `proxy`: the process at the other end of our connection does not hold our memory, and none is seen that does
 * - `notVisible`: the other end is a socket of this host, and its process is another user's or in another PID namespace
 * - `notHere`: the other end is no socket of this network namespace
 * - `unwatchable`: the process is known, and the kernel or a sandbox lets nobody watch it
 */
export type NoProof = 'proxy' | 'notVisible' | 'notHere' | 'unwatchable';

/** Pid of the server that was found last at each port: nearly always the owner of the next connection too. */
const lastOwners = new Map<number, number>();

/**
 * Looks for the processes that hold the memory of one registration. Which link was asked does not matter: whatever names this
 * registration can touch nothing through any other process. So what one link shows is told to the watches of all.
 */
export class HolderSearch implements Disposable {
  #memory: OurMemory;
  #sinceTicks = ticksNow();
  #onFound: (proof: HolderWatch | NoProof) => void;
  #holder: HolderWatch | null = null;
  #deaths = new Set<DeathWatch>();
  #isDisposed = false;

  /** Begins before the Register that it is about. `onFound` hears of each look. */
  constructor(memory: OurMemory, onFound: (proof: HolderWatch | NoProof) => void) {
    this.#memory = memory;
    this.#onFound = onFound;
  }

  /** What works under this registration on the watched link ends with the holder. The first call for a link looks for it. */
  join(death: DeathWatch, ends: ConnectionAddresses | null): void {
    if (this.#deaths.has(death)) return;
    this.#deaths.add(death);
    death.atEnd(() => this.#deaths.delete(death));
    // Who serves under this registration on a link that is up is another than one that is dead.
    if (this.#holder?.hasExited) this.#forgetHolder();
    this.lookFor(death, ends);
  }

  /** Looks again where the holder is not known; without the connection where that is over. */
  lookFor(death: DeathWatch, ends: ConnectionAddresses | null): void {
    if (this.#isDisposed) return;
    if (this.#holder !== null) death.learn(this.#holder);
    else void this.#look(death, ends).catch(() => this.#tell(death, 'notVisible'));
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#forgetHolder();
  }

  #forgetHolder(): void {
    this.#holder?.[Symbol.dispose]();
    this.#holder = null;
  }

  async #look(death: DeathWatch, ends: ConnectionAddresses | null): Promise<void> {
    const found = await this.#find(ends);
    if (this.#holder !== null || typeof found === 'string') {
      if (typeof found !== 'string') found[Symbol.dispose]();
      this.#tell(death, this.#holder ?? (found as NoProof));
      return;
    }
    for (const waiting of [...this.#deaths]) waiting.learn(found);
    this.#onFound(found);
    if (this.#isDisposed) found[Symbol.dispose]();
    else this.#holder = found;
  }

  #tell(death: DeathWatch, found: HolderWatch | NoProof): void {
    death.learn(found);
    this.#onFound(found);
  }

  async #find(ends: ConnectionAddresses | null): Promise<HolderWatch | NoProof> {
    const inode = ends && (await acceptedInode(ends));
    const owner = ends && inode !== null ? await pidOfSocket(inode, lastOwners.get(ends.remotePort) ?? null) : null;
    if (ends !== null && inode !== null && owner !== null) {
      lastOwners.set(ends.remotePort, owner);
      // Looked at once more after the watch began: the pid was not handed on in between.
      const isOwner = async () => (await pidOfSocket(inode, owner)) === owner;
      const isHolder = () => holdsMemory(owner, this.#memory);
      const watch = (await isHolder()) ? HolderWatch.over([owner]) : undefined;
      if (watch === null) return 'unwatchable';
      if (watch !== undefined && (await isOwner()) && (await isHolder())) return watch;
      watch?.[Symbol.dispose]();
    }
    return (await this.#findElsewhere()) ?? (owner !== null ? 'proxy' : inode === null ? 'notHere' : 'notVisible');
  }

  /** A proxy stands between, or the connection is over already. */
  async #findElsewhere(): Promise<HolderWatch | NoProof | null> {
    const holders = await holdersOf(this.#memory, this.#sinceTicks);
    if (holders.length === 0) return null;
    const watch = HolderWatch.over(holders);
    if (watch === null) return 'unwatchable';
    const still = await Promise.all(holders.map((pid) => holdsMemory(pid, this.#memory)));
    if (still.every(Boolean)) return watch;
    watch[Symbol.dispose]();
    return null;
  }
}
