import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FaultPatch, FaultSwitches } from '../../src/engine/faults.ts';
import { signalProcess } from './signal-process.ts';
import { within } from './within.ts';

const CHILD = fileURLToPath(new URL('rpc-fault-child.ts', import.meta.url));

/** What the process in between says after a change. */
interface Told {
  /** `times` is what is left. */
  readonly switches: FaultSwitches;
  /** How many RPCs it has refused, by the name that the server's metrics give them. */
  readonly refused: Readonly<Record<string, number>>;
}

/** A process between clients and a server that refuses, delays or swallows single RPCs. */
export class RpcFaultProxy implements AsyncDisposable {
  readonly #child: ChildProcess;
  #requests = 0;

  /** Listens at `address` for the server at `target`; both are `host:port`. */
  static async start(target: string, address: string): Promise<RpcFaultProxy> {
    const child = fork(CHILD, [target, address]);
    await within(20_000, 'the process between client and server', once(child, 'message'));
    return new RpcFaultProxy(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async change(change: { readonly patch?: FaultPatch; readonly isCleared?: boolean }): Promise<Told> {
    this.#requests += 1;
    const id = this.#requests;
    const answered = new Promise<Told>((resolve) => {
      const take = (message: Told & { id: number }) => {
        if (message.id !== id) return;
        this.#child.off('message', take);
        resolve(message);
      };
      this.#child.on('message', take);
    });
    this.#child.send({ id, ...change });
    return within(5_000, 'the switches', answered);
  }

  signal(signal: NodeJS.Signals): void {
    signalProcess(this.#child, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
