import type { MachineStep } from '../../src/telemetry/machine-steps.ts';

/** Steps of a machine that nobody runs, one after the other. */
export class MadeSteps<MachineContext> {
  #from = '';
  #before: MachineContext | null = null;

  to(to: string, event: string, context: MachineContext, atMs: number, cause = {}): MachineStep<MachineContext> {
    const step = { from: this.#from, to, event, guard: null, cause: { type: event, ...cause }, context, atMs };
    const made = { ...step, before: this.#before };
    this.#from = to;
    this.#before = context;
    return made;
  }
}
