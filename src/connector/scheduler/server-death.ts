import type { Connection, ServerLink } from '../../rpc/connection.ts';
import type { OurMemory } from '../../rpc/holder/memory-holder.ts';
import { acceptedInode, pidOfSocket } from '../../rpc/holder/socket-owner.ts';

/** The scheduler's own process has no device memory: whoever holds any is no proxy. */
const ANY_MEMORY: OurMemory = { deviceId: null, segments: [] };

/** The instance, as it was in service at the server behind one link. */
interface Registration {
  server: ServerLink;
  unwatch: () => void;
}

/**
 * Follows what servers have of an instance: tells of the death of the process that holds the last registration, on whatever link
 * it was made, and knows whether an earlier one may be left at a server that is not asked any more.
 */
export class ServerDeath {
  #connection: Connection;
  #onDeath: () => void;
  /** The last one, until its server is dead or another is made. */
  #registration: Registration | null = null;
  #isCleared = false;
  /** Those whose server was never seen to drop them: a name or a proxy led to another one. They end with their server. */
  #left = new Set<Registration>();
  #dead = Promise.withResolvers<void>();

  constructor(connection: Connection, onDeath: () => void) {
    this.#connection = connection;
    this.#onDeath = onDeath;
  }

  /** Another server than those that were asked may still hold the instance. */
  get mayBeElsewhere(): boolean {
    return this.#left.size > 0;
  }

  /** The ranks are told to register, with whoever listens now: the last one's death changes nothing any more. */
  forget(): void {
    const before = this.#registration;
    if (before !== null && !this.#left.has(before)) before.unwatch();
    this.#registration = null;
    this.#isCleared = false;
    this.#dead = Promise.withResolvers();
    this.#connection.beginRegistration(ANY_MEMORY);
  }

  /** All ranks have registered with the server behind the link there is. */
  watch(): void {
    if (!this.#connection.isUp) return;
    const { server } = this.#connection;
    const { resolve } = this.#dead;
    const registration: Registration = { server, unwatch: () => {} };
    registration.unwatch = server.watch({
      lost: () => {},
      dead: () => {
        this.#left.delete(registration);
        if (this.#registration !== registration) return;
        this.#registration = null;
        resolve();
        this.#onDeath();
      },
    });
    this.#registration?.unwatch();
    this.#registration = registration;
  }

  /**
   * The server behind this link has dropped the instance, or had none: whether that is the server that the last registration was
   * made at. It had one: ours, unless an earlier one may be left. It had none: perhaps it is another.
   */
  async cleared(server: ServerLink, hadIt: boolean): Promise<void> {
    for (const left of this.#left) {
      if (!(await isHolderOf(left, server))) continue;
      this.#left.delete(left);
      left.unwatch();
    }
    const registration = this.#registration;
    if (registration === null || this.#isCleared) return;
    const isOurs = server === registration.server || (hadIt && this.#left.size === 0);
    if (isOurs || (await isHolderOf(registration, server))) this.#isCleared = true;
    // Of one that is not seen, as behind a proxy, nobody can say whether it is another than this one. And it may have died meanwhile.
    else if (registration.server.death.pid !== null && this.#registration === registration)
      this.#left.add(registration);
  }

  /** A death may be about to be seen: settles when it is, after so many milliseconds, or with `signal`. */
  async seen(withinMs: number, signal: AbortSignal): Promise<void> {
    const { proof } = this.#connection;
    if (proof === null || proof.kind === 'none' || signal.aborted) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, withinMs);
    signal.addEventListener('abort', () => late.resolve(), { once: true });
    await Promise.race([this.#dead.promise, late.promise]);
    clearTimeout(timer);
  }
}

/** Whether the process that holds the registration is at the other end of this link as well. */
async function isHolderOf({ server: { death } }: Registration, { link }: ServerLink): Promise<boolean> {
  const { pid } = death;
  const inode = pid === null || link.addresses === null ? null : await acceptedInode(link.addresses);
  return inode !== null && (await pidOfSocket(inode, pid)) === pid;
}
