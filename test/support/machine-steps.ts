import type { MachineStep } from '../../src/telemetry/machine-steps.ts';

/** Steps of a machine that nobody runs, one after the other. */
export class MadeSteps<MachineContext> {
  #from = '';
  #before: MachineContext | null = null;

  to(to: string, event: string, context: MachineContext, atMs: number, cause = {}): MachineStep<MachineContext> {
    const { from, before } = { from: this.#from, before: this.#before };
    const made = {
      from,
      to,
      event,
      guard: null,
      cause: { type: event, ...cause },
      context,
      before,
      isLast: to === 'stopped',
      atMs,
    };
    this.#from = to;
    this.#before = context;
    return made;
  }
}
