import type { NoProof } from '../../../machines/index.ts';
import type { ConnectionAddresses } from '../link.ts';
import type { DeathWatch } from './death-watch.ts';
import { HolderWatch } from './holder-watch.ts';
import { holdersOf, holdsMemory, type OurMemory, ticksNow } from './memory-holder.ts';
import type { RegisterTime } from './register-time.ts';
import { acceptedInode, pidOfSocket } from './socket-owner.ts';

/** Pid of the server that was found last at each port: nearly always the owner of the next connection too. */
const lastOwners = new Map<number, number>();

/**
 * Looks for the processes that hold the memory of one registration. Which link was asked does not matter: whatever names this
 * registration can touch nothing through any other process. So what one link shows is told to the watches of all.
 */
export class HolderSearch implements Disposable {
  #memory: OurMemory;
  #time: RegisterTime = { sinceTicks: ticksNow(), untilTicks: Number.POSITIVE_INFINITY };
  #onFound: (proof: HolderWatch | NoProof) => void;
  #holder: HolderWatch | null = null;
  #isDisposed = false;
  /** The first look for each link, whose watches are all told of what any look finds. */
  #looks = new Map<DeathWatch, Promise<void>>();
  #owner: { readonly ofSocket: string; readonly found: Promise<SocketOwner> } | null = null;

  /** Begins before the Register that it is about. `onFound` hears of each look. */
  constructor(memory: OurMemory, onFound: (proof: HolderWatch | NoProof) => void) {
    this.#memory = memory;
    this.#onFound = onFound;
  }

  /** Begins the longest part of the look, so that it runs beside the Register and a server that dies soon after is known. */
  prepare(ends: ConnectionAddresses): void {
    this.#owner = { ofSocket: keyOf(ends), found: ownerOf(ends) };
    this.#owner.found.catch(() => {});
  }

  /** The Register was answered: whoever is started from now on copies for others. */
  answered(): void {
    this.#time = { ...this.#time, untilTicks: ticksNow() };
  }

  /**
   * What works under this registration on the watched link ends with the holder. The first call for a link looks for it; resolves
   * when that look is over.
   */
  join(death: DeathWatch, ends: ConnectionAddresses | null): Promise<void> {
    const begun = this.#looks.get(death);
    if (begun !== undefined) return begun;
    death.atEnd(() => this.#looks.delete(death));
    // Who serves under this registration on a link that is up is another than one that is dead.
    if (this.#holder?.hasExited) this.#forgetHolder();
    const look = this.lookFor(death, ends);
    this.#looks.set(death, look);
    return look;
  }

  /** Looks again where the holder is not known; without the connection where that is over. Resolves when that is done. */
  async lookFor(death: DeathWatch, ends: ConnectionAddresses | null): Promise<void> {
    if (this.#isDisposed) return;
    if (this.#holder !== null) death.learn(this.#holder);
    else await this.#look(death, ends).catch(() => this.#tell(death, 'notVisible'));
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
      // Without the connection nobody sees why.
      if (this.#holder === null && ends === null) return;
      this.#tell(death, this.#holder ?? (found as NoProof));
      return;
    }
    for (const waiting of [...this.#looks.keys()]) waiting.learn(found);
    this.#onFound(found);
    if (this.#isDisposed) found[Symbol.dispose]();
    else this.#holder = found;
  }

  #tell(death: DeathWatch, found: HolderWatch | NoProof): void {
    death.learn(found);
    this.#onFound(found);
  }

  async #find(ends: ConnectionAddresses | null): Promise<HolderWatch | NoProof> {
    const { inode, owner } = await this.#ownerAt(ends);
    if (inode !== null && owner !== null) {
      // Looked at once more after the watch began: the pid was not handed on in between.
      const isOwner = async () => (await pidOfSocket(inode, owner)) === owner;
      const isHolder = () => holdsMemory(owner, this.#memory, this.#time);
      const watch = (await isHolder()) ? HolderWatch.over([owner]) : undefined;
      if (watch === null) return 'unwatchable';
      if (watch !== undefined && (await isOwner()) && (await isHolder())) return watch;
      watch?.[Symbol.dispose]();
    }
    return (await this.#findElsewhere()) ?? (owner !== null ? 'proxy' : inode === null ? 'notHere' : 'notVisible');
  }

  #ownerAt(ends: ConnectionAddresses | null): Promise<SocketOwner> | SocketOwner {
    if (ends === null) return { inode: null, owner: null };
    return this.#owner?.ofSocket === keyOf(ends) ? this.#owner.found : ownerOf(ends);
  }

  /** A proxy stands between, or the connection is over already. */
  async #findElsewhere(): Promise<HolderWatch | NoProof | null> {
    const holders = await holdersOf(this.#memory, this.#time);
    if (holders.length === 0) return null;
    const watch = HolderWatch.over(holders);
    if (watch === null) return 'unwatchable';
    const still = await Promise.all(holders.map((pid) => holdsMemory(pid, this.#memory, this.#time)));
    if (still.every(Boolean)) return watch;
    watch[Symbol.dispose]();
    return null;
  }
}

/** The accepted end of a connection. `null`: it is not on this host, or nobody is seen to hold it. */
interface SocketOwner {
  readonly inode: string | null;
  readonly owner: number | null;
}

async function ownerOf(ends: ConnectionAddresses): Promise<SocketOwner> {
  const inode = await acceptedInode(ends);
  const owner = inode === null ? null : await pidOfSocket(inode, lastOwners.get(ends.remotePort) ?? null);
  if (owner !== null) lastOwners.set(ends.remotePort, owner);
  return { inode, owner };
}

/** While a connection lives its ports name it. */
function keyOf({ localPort, remotePort }: ConnectionAddresses): string {
  return `${localPort} ${remotePort}`;
}
