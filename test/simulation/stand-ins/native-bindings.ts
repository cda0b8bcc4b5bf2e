/** In the place of `native-bindings/index.ts`, as far as connectors need it: records of loads, and the end of a process. */
import type * as real from '../../../native-bindings/index.ts';
import { kernel } from '../kernel.ts';

export class LoadState {
  readonly name: string;

  static create(): LoadState {
    const { loadStates, loop, productRandom } = kernel();
    const name = `pega_load_${productRandom.uuid().replaceAll('-', '')}`;
    loadStates.set(name, { state: 0, owner: loop.current });
    return new LoadState(name);
  }

  static attach(name: string): LoadState {
    if (!kernel().loadStates.has(name)) throw new Error(`no record ${name}`);
    return new LoadState(name);
  }

  private constructor(name: string) {
    this.name = name;
  }

  state(): number {
    const record = kernel().loadStates.get(this.name);
    if (record === undefined) throw new Error(`${this.name} is used after its end`);
    return record.state;
  }

  signal(outcome: 1 | -1): void {
    const record = kernel().loadStates.get(this.name);
    if (record !== undefined) record.state = outcome;
  }

  [Symbol.dispose](): void {
    const { loadStates, loop } = kernel();
    if (loadStates.get(this.name)?.owner === loop.current) loadStates.delete(this.name);
  }
}

/** No process of the simulation leaves records behind. */
export async function sweepLoadRecords(): Promise<number> {
  return 0;
}

export class ProcessWatchError extends Error {
  override readonly name = 'ProcessWatchError';
}

/** Milliseconds from the end of a process until whoever watches it hears of it. */
const NEWS_OF_EXIT_MS = { from: 0, to: 3 };

export function watchProcessExit(pid: number): real.ProcessExitWatch {
  const { loop, random } = kernel();
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  const watcher = loop.current;
  const process = loop.processOf(pid);
  let hasExited = false;
  let isDisposed = false;
  const tell = () => {
    loop.schedule(watcher, random.between(NEWS_OF_EXIT_MS.from, NEWS_OF_EXIT_MS.to), 'io', () => {
      if (isDisposed) return;
      hasExited = true;
      resolve();
    });
  };
  if (process === null || process.isDead) tell();
  else process.atExit.push(tell);
  return {
    exited,
    get hasExited() {
      return hasExited;
    },
    kill: () => kernel().onFence(pid, watcher),
    [Symbol.dispose]: () => {
      isDisposed = true;
    },
  };
}

/** Simulated memory has handles of its own. */
export const segmentOfHandle: typeof real.segmentOfHandle = () => null;

type Record = Pick<real.LoadState, keyof real.LoadState>;

LoadState satisfies { [name in 'create' | 'attach']: (...given: Parameters<(typeof real.LoadState)[name]>) => Record };
watchProcessExit satisfies typeof real.watchProcessExit;
