import type { Code } from '@connectrpc/connect';
import type { Engine } from '../gen/pegaflow/engine_pb.ts';

/** An RPC by the name that the generated client gives it: `save`, `registerContextBatch`, `session` and so on. */
export type RpcMethod = keyof typeof Engine.method;

/** A refusal; `retryPushbackMs` goes along as gRPC's `grpc-retry-pushback-ms`. */
export interface MethodRefusal {
  readonly code: Code;
  readonly message: string;
  readonly retryPushbackMs?: number;
}

/** What goes wrong with one RPC. */
export interface MethodFault {
  /** Milliseconds to wait before anything is done. Default 0. */
  readonly delayMs?: number;
  /**
   * Do nothing until the switch is lifted. For Register and Unregister the registration thread itself is stuck, and
   * with it everything else that needs it. A Session sends no headers.
   */
  readonly hang?: boolean;
  /** Answer this instead of doing anything. */
  readonly refuse?: MethodRefusal;
  /** Do the work, then end the connection in place of the answer. */
  readonly loseAck?: boolean;
  /** Answer OK and do nothing: the record of a Load is never written. */
  readonly answerOnly?: boolean;
  /** Register, Unregister and the cleanup of a Session: milliseconds between the two stores. Default 0. */
  readonly betweenStepsMs?: number;
  /** How many calls this holds for. Default: all. */
  readonly times?: number;
}

/** What goes wrong, as data. */
export interface FaultSwitches {
  readonly methods: Readonly<Partial<Record<RpcMethod, MethodFault>>>;
  /** Version that this server claims to be. Default: its own. */
  readonly version?: string;
  /** Each new request id is answered Loading so many times before its result. Default 0. */
  readonly answerLoading?: number;
  /** Milliseconds before each block that is copied, in either direction. Default 0. */
  readonly copyDelayMs?: number;
  /**
   * Milliseconds after which a copy to a device lands that was queued without an error. A load waits for its copies, but
   * one that fails does not. Default 0.
   */
  readonly copyLandsAfterMs?: number;
  /** Milliseconds for which dropped registrations stay mapped, so that queued copies still land. Default 0. */
  readonly copyAfterCloseMs?: number;
  /** Copies wait until this process was stopped and continued. Default false. */
  readonly copyAfterThaw?: boolean;
  /** Milliseconds between the answer to a Save and its visibility. Default 0. */
  readonly insertDelayMs?: number;
}

/** A change to the switches: what is `undefined` stays, `null` returns to the default. Methods are replaced one by one. */
export type FaultPatch = {
  readonly [K in Exclude<keyof FaultSwitches, 'methods'>]?: FaultSwitches[K] | null;
} & { readonly methods?: { readonly [M in RpcMethod]?: MethodFault | null } };

/** The switches of one engine, and who waits for one to be lifted. */
export class FaultBoard {
  #switches: FaultSwitches = { methods: {} };
  #waiting: { readonly method: RpcMethod; readonly resume: () => void }[] = [];

  constructor(initial: FaultPatch = {}) {
    this.merge(initial);
  }

  /** As they stand; `times` is what is left. */
  get switches(): FaultSwitches {
    return this.#switches;
  }

  merge(patch: FaultPatch): void {
    const { methods, ...globals } = patch;
    this.#switches = {
      ...withoutNulls({ ...this.#switches, ...withoutUndefined(globals) }),
      methods: withoutNulls({ ...this.#switches.methods, ...withoutUndefined(methods ?? {}) }),
    };
    this.#resumeLifted();
  }

  /** Returns to no faults at all. */
  clear(): void {
    this.#switches = { methods: {} };
    this.#resumeLifted();
  }

  /** The fault of the next call of a method; counts it. */
  take(method: RpcMethod): MethodFault {
    const fault = this.#switches.methods[method];
    if (fault === undefined || fault.times === 0) return {};
    if (fault.times !== undefined) this.#setMethod(method, { ...fault, times: fault.times - 1 });
    return fault;
  }

  /** Settles when the method does not hang any more: at once where its switch was lifted before somebody came to wait. */
  async untilLifted(method: RpcMethod): Promise<void> {
    if (!this.#isHung(method)) return;
    await new Promise<void>((resume) => {
      this.#waiting.push({ method, resume });
    });
  }

  #isHung(method: RpcMethod): boolean {
    return this.#switches.methods[method]?.hang === true;
  }

  #setMethod(method: RpcMethod, fault: MethodFault): void {
    this.#switches = { ...this.#switches, methods: { ...this.#switches.methods, [method]: fault } };
  }

  #resumeLifted(): void {
    const lifted = this.#waiting.filter(({ method }) => !this.#isHung(method));
    this.#waiting = this.#waiting.filter(({ method }) => this.#isHung(method));
    for (const { resume } of lifted) resume();
  }
}

type WithoutNull<T> = { [K in keyof T]: Exclude<T[K], null> };

const withoutNulls = <T extends object>(object: T): WithoutNull<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)) as WithoutNull<T>;

const withoutUndefined = <T extends object>(object: T): T =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
