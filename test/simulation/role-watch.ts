import type { Connection } from './connection.ts';
import type { Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import { Violation } from './violation.ts';

/** Two in vain show that roles are apart; another rank's refusal may end a generation that would have shown it. */
const REGISTRATIONS_MAX = 4;

/** Looks whether roles that reach different servers dial again: nothing else brings them together while both servers live. */
export class RoleWatch {
  #kernel: Kernel;
  /** How often a rank registered on its link while the session was on that other one. */
  #apart = new WeakMap<Connection, { readonly session: Connection; readonly registrations: number }>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  registered({ index }: Rank, link: Connection, session: Connection): void {
    const areApart = session.isOpenAtClient && session.server !== link.server && !session.server?.isDead;
    if (!areApart) return;
    const before = this.#apart.get(link);
    const registrations = before?.session === session ? before.registrations + 1 : 1;
    this.#apart.set(link, { session, registrations });
    if (registrations <= REGISTRATIONS_MAX) return;
    const message = `rank ${index} registers for the ${registrations}th time at another server than the scheduler's`;
    this.#kernel.report(new Violation('A', message));
  }
}
