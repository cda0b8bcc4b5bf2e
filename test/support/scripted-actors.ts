import { createClock } from '@sinonjs/fake-timers';
import { type AnyEventObject, type EventObject, fromCallback, fromPromise, type NonReducibleUnknown } from 'xstate';

/** One link that a machine opened. */
export interface ScriptedLink {
  readonly tell: (fact: AnyEventObject) => void;
  isDropped: boolean;
}

interface Call {
  readonly name: string;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Actors that do nothing until the test says what happened, and a clock that moves when it is told to. */
export class Script {
  readonly clock = createClock();
  readonly links: ScriptedLink[] = [];
  #calls: Call[] = [];
  /** Every promise actor that was started, in order. */
  readonly started: string[] = [];

  link<Event extends EventObject>() {
    return fromCallback<Event>(({ sendBack }) => {
      const link: ScriptedLink = { tell: sendBack as (fact: AnyEventObject) => void, isDropped: false };
      this.links.push(link);
      return () => {
        link.isDropped = true;
      };
    });
  }

  /** Says nothing by itself. */
  watch<Event extends EventObject>() {
    return fromCallback<Event>(() => {});
  }

  promise<Output, Input extends NonReducibleUnknown = NonReducibleUnknown>(name: string) {
    return fromPromise<Output, Input>(
      ({ signal }) =>
        new Promise<Output>((resolve, reject) => {
          this.started.push(name);
          const call: Call = { name, resolve: resolve as Call['resolve'], reject };
          this.#calls.push(call);
          signal.addEventListener('abort', () => {
            this.#calls = this.#calls.filter((other) => other !== call);
          });
        }),
    );
  }

  get pending(): string[] {
    return this.#calls.map((call) => call.name);
  }

  get openLinks(): number {
    return this.links.filter((link) => !link.isDropped).length;
  }

  /** The newest link says something. */
  tell(fact: AnyEventObject): void {
    const link = this.links.at(-1);
    if (!link || link.isDropped) throw new Error('no link is open');
    link.tell(fact);
  }

  /** The one pending call of this name is answered. */
  async answer(name: string, output?: unknown): Promise<void> {
    this.#take(name).resolve(output);
    await settled();
  }

  async fail(name: string, error: unknown): Promise<void> {
    this.#take(name).reject(error);
    await settled();
  }

  #take(name: string): Call {
    const index = this.#calls.findIndex((call) => call.name === name);
    const call = this.#calls[index];
    if (!call) throw new Error(`"${name}" is not under way; pending: ${this.pending.join(', ') || 'nothing'}`);
    this.#calls.splice(index, 1);
    return call;
  }
}

/** Lets every promise that is already decided reach its machine. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** An XState clock on a fake one; it fires timers in due order. */
export function machineClock(clock: ReturnType<typeof createClock>) {
  return {
    setTimeout: (callback: (...args: unknown[]) => void, delayMs: number) => clock.setTimeout(callback, delayMs),
    clearTimeout: (id: unknown) => clock.clearTimeout(id as ReturnType<typeof clock.setTimeout>),
  };
}
