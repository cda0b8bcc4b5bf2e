import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { RuntimeCalls } from '../cudart/calls.ts';
import { check } from '../cudart/check.ts';
import type { Cudart } from '../cudart/library.ts';
import type { ThreadReply, ThreadRequest, ThreadSetup } from './thread-messages.ts';

const MODULE = new URL(`./thread-main${extname(import.meta.url)}`, import.meta.url);

interface Waiting {
  readonly settled: Promise<unknown>;
  resolve(args: readonly unknown[]): void;
  reject(error: unknown): void;
}

/**
 * Makes CUDA calls on a thread that has set its device once, one after the other. A device belongs to a thread, and a call
 * through a thread pool would land on any of its threads. The thread keeps the process running only while a call is under way.
 */
export class DeviceThread implements AsyncDisposable {
  readonly #runtime: RuntimeCalls;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #callCount = 0;
  #end: Error | null = null;

  constructor({ libraryPath, runtime }: Cudart, deviceId: number) {
    this.#runtime = runtime;
    const workerData: ThreadSetup = { libraryPath, deviceId };
    this.#worker = new Worker(MODULE, { workerData, execArgv: [], name: `cuda-${deviceId}` });
    this.#worker.unref();
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply));
    this.#worker.on('error', (cause) => this.#fail(new Error(`the thread of device ${deviceId} failed`, { cause })));
    this.#worker.on('exit', () => this.#fail(new Error(`the thread of device ${deviceId} has ended`)));
  }

  /** Whether it takes no more calls. */
  get hasEnded(): boolean {
    return this.#end !== null;
  }

  /**
   * @returns the arguments as the call left them: `_Out_` parameters are filled in
   * @throws DeviceError what CUDA answered
   */
  async call<Name extends keyof RuntimeCalls>(
    name: Name,
    ...args: Parameters<RuntimeCalls[Name]>
  ): Promise<Parameters<RuntimeCalls[Name]>> {
    if (this.#end !== null) throw this.#end;
    const { promise: settled, resolve, reject } = Promise.withResolvers<readonly unknown[]>();
    this.#callCount += 1;
    const request: ThreadRequest = { id: this.#callCount, name, args };
    this.#waiting.set(request.id, { settled, resolve, reject });
    this.#worker.ref();
    this.#worker.postMessage(request);
    return (await settled) as Parameters<RuntimeCalls[Name]>;
  }

  /** Ends the thread after the calls that were made before: what they allocate must not be lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end ??= new Error('the thread of this device is being ended');
    await Promise.allSettled([...this.#waiting.values()].map(({ settled }) => settled));
    await this.#worker.terminate();
  }

  #settle({ id, name, code, args }: ThreadReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    try {
      check(this.#runtime, code, name);
      waiting?.resolve(args);
    } catch (error) {
      waiting?.reject(error);
    }
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
