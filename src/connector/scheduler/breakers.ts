import type { ActorRefFrom, SnapshotFrom } from 'xstate';
import type { BreakerEvent, BreakerName, breakerMachine } from '../../../machines/index.ts';

type Children = { readonly [breaker in BreakerName]?: ActorRefFrom<typeof breakerMachine> | undefined };

/** Asks and tells the breakers that run under the scheduler's machine. */
export class Breakers {
  #breakers: () => Children;

  constructor(breakers: () => Children) {
    this.#breakers = breakers;
  }

  /** Whether a piece of each of these works may begin; where a breaker is open it would be a try. */
  admit(...names: readonly BreakerName[]): boolean {
    return names.every((name) => this.#snapshot(name)?.hasTag('admits') ?? false);
  }

  isTrying(name: BreakerName): boolean {
    return this.#snapshot(name)?.matches({ open: 'trying' }) ?? false;
  }

  /** A piece that was admitted begins. Returns whether it is a try. */
  begin(name: BreakerName): boolean {
    const isTry = this.#snapshot(name)?.hasTag('open') ?? false;
    if (isTry) this.tell(name, { type: 'tried' });
    return isTry;
  }

  /** Work that is well is the rule, and costs nothing. */
  passed(name: BreakerName, source: string): void {
    const snapshot = this.#snapshot(name);
    const isOfUse =
      snapshot?.hasTag('open') || snapshot?.context.refusals.some((refusals) => refusals.source === source);
    if (isOfUse) this.tell(name, { type: 'passed', source });
  }

  tell(name: BreakerName, event: BreakerEvent): void {
    if (this.#snapshot(name)?.status === 'active') this.#breakers()[name]?.send(event);
  }

  #snapshot(name: BreakerName): SnapshotFrom<typeof breakerMachine> | undefined {
    return this.#breakers()[name]?.getSnapshot();
  }
}
