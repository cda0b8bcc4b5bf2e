/** In the place of `src/rpc/link.ts`: the same surface over the simulated network. */
import { Code, ConnectError } from '@connectrpc/connect';
import type { Fault, LinkEndCause } from '../../../machines/index.ts';
import type * as real from '../../../src/rpc/link.ts';
import { StreamGate } from '../../../src/rpc/stream-gate.ts';
import type { Connection } from '../connection.ts';
import type { ScheduledEvent, SimulatedProcess } from '../event-loop.ts';
import { kernel } from '../kernel.ts';
import { RemoteCall, type Reply } from '../remote-call.ts';

/** What let a call through. */
interface Gate {
  readonly hasWaited: boolean;
  readonly onOver: () => void;
}

export class NotSentError extends Error {
  override readonly name = 'NotSentError';
}

export class Link {
  readonly authority: string;
  readonly streams = new StreamGate();
  #connection: Connection;
  #events: real.LinkEvents;
  #options: real.LinkOptions;
  #isUp = false;
  #isSilent = false;
  #isDraining = false;
  #end: real.LinkEnd | null = null;
  #isReadOn = false;
  #bytesRead = 0;
  #calls = new Set<RemoteCall>();
  #pingVerdict: ScheduledEvent | null = null;

  constructor(options: real.LinkOptions, events: real.LinkEvents) {
    const { port, origin } = new URL(options.endpoint);
    this.authority = origin;
    this.#events = events;
    this.#options = options;
    const ended = (cause: 'closed' | 'reset') => this.#finish(cause, `the connection was ${cause}`);
    this.#connection = kernel().dial(Number(port), { ended, silence: (isSilent) => this.#judgeSilence(isSilent) }, () =>
      this.#finish('refused', 'connect ECONNREFUSED'),
    );
    linkOf.set(this.#connection, this);
  }

  get isUp(): boolean {
    return this.#isUp && this.#end === null;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get end(): real.LinkEnd | null {
    return this.#end;
  }

  get isReadOn(): boolean {
    return this.#isReadOn;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get addresses(): real.ConnectionAddresses | null {
    return this.#connection.server === null ? null : this.#connection.addresses;
  }

  drop(): void {
    if (!this.#isReadOn) this.#finish('dropped', 'the link was given up');
  }

  destroy(): void {
    this.#finish('dropped', 'the link was given up');
  }

  async request(): Promise<never> {
    throw new Error('the simulated transport has its own way to make a call');
  }

  notifyResponseByteRead(): void {}

  /** Sends one request. What comes back is told to `reply` as long as nobody cancels. */
  call(method: string, request: unknown, reply: Reply, gate: Gate): RemoteCall {
    if (this.#end !== null) throw new NotSentError(this.#end.fault.message);
    if (this.#isDraining) throw new NotSentError(`${this.authority}: the server is draining`);
    const onOver = () => {
      this.#calls.delete(call);
      gate.onOver();
      this.#bytesRead += 1;
      this.#heard();
      this.#closeIfDrained();
    };
    const call = new RemoteCall(this.#connection, method, request, reply, { ...gate, onOver });
    this.#calls.add(call);
    call.send();
    return call;
  }

  /** The peer's SETTINGS arrived. */
  settled(streamsMax: number): void {
    if (this.#end !== null) return;
    this.streams.setLimit(streamsMax);
    this.#isUp = true;
    this.#bytesRead += 1;
    this.#heard();
    this.#events.up();
  }

  goAway(): void {
    if (this.#end !== null || this.#isDraining) return;
    this.#isDraining = true;
    this.streams.close(new NotSentError(`${this.authority}: the server is draining`));
    this.#events.draining();
    this.#closeIfDrained();
  }

  /** Its pings are answered. */
  get isHeard(): boolean {
    return this.isUp && !this.#isSilent;
  }

  #heard(): void {
    lastHeardMs.set(this.#connection.client, kernel().loop.nowMs);
  }

  /** Node closes a session that was told to go away as soon as no stream is open on it. */
  #closeIfDrained(): void {
    if (!this.#isDraining || this.#calls.size > 0 || this.#end !== null) return;
    const { loop } = kernel();
    loop.schedule(loop.current, 0, 'immediate', () => {
      if (this.#calls.size === 0) this.#finish('closed', 'the connection is closed');
    });
  }

  /** A ping is sent so long after the answer to the last one; as long as all is well, none is worth an event. */
  #judgeSilence(isSilent: boolean): void {
    if (this.isHeard) this.#heard();
    this.#isSilent = isSilent;
    if (this.#pingVerdict !== null) this.#pingVerdict.isCancelled = true;
    this.#pingVerdict = null;
    if (!isSilent || this.#end !== null) return;
    const { loop, random } = kernel();
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    const delayMs = random.between(0, pingIntervalMs) + pingTimeoutMs;
    this.#pingVerdict = loop.schedule(this.#connection.client, delayMs, 'io', () => {
      if (!this.#isUp || this.#end !== null) return;
      const message = `no answer to a ping in ${pingTimeoutMs} ms`;
      if (!this.#events.isOwed?.()) {
        this.#finish('pingLost', message);
        return;
      }
      this.#end = { cause: 'pingLost', fault: { kind: 'unreachable', message: `${this.authority}: ${message}` } };
      this.streams.close(new NotSentError(this.#end.fault.message));
      this.#isReadOn = true;
      this.#events.down(this.#end);
    });
  }

  #finish(cause: LinkEndCause, message: string): void {
    if (this.#end !== null && !this.#isReadOn) return;
    if (this.isHeard) this.#heard();
    const wasReadOn = this.#isReadOn;
    this.#isReadOn = false;
    const fault: Fault = { kind: 'unreachable', message: `${this.authority}: ${message}` };
    this.#end ??= { cause, fault };
    this.streams.close(new NotSentError(this.#end.fault.message));
    if (this.#pingVerdict !== null) this.#pingVerdict.isCancelled = true;
    this.#connection.closeByClient();
    const calls = [...this.#calls];
    if (calls.length > 0) {
      const { loop } = kernel();
      loop.schedule(loop.current, 0, 'immediate', () => {
        for (const call of calls) call.fail(endedError(cause));
      });
    }
    if (wasReadOn) this.#events.gone?.(cause);
    else this.#events.down(this.#end);
  }
}

/** For the server's side of the simulation: whom SETTINGS and GOAWAY are for. */
export const linkOf = new WeakMap<Connection, Link>();

const lastHeardMs = new WeakMap<SimulatedProcess, number>();

/** When a process heard a server last, on any link, in milliseconds. */
export function heardMs(process: SimulatedProcess): number {
  const { connections, loop } = kernel();
  const links = [...connections].filter(({ client }) => client === process).map((one) => linkOf.get(one));
  return links.some((link) => link?.isHeard) ? loop.nowMs : (lastHeardMs.get(process) ?? Number.NEGATIVE_INFINITY);
}

/** The death of one server reaches RPCs under several codes. */
function endedError(cause: LinkEndCause): ConnectError {
  const { random } = kernel();
  if (cause === 'reset' && random.chance(0.5)) return new ConnectError('read ECONNRESET', Code.Aborted);
  return random.chance(0.5)
    ? new ConnectError('http/2 stream closed with error code CANCEL (0x8)', Code.Canceled)
    : new ConnectError(`the link ended: ${cause}`, Code.Unavailable);
}

Link satisfies new (
  ...given: ConstructorParameters<typeof real.Link>
) => Pick<real.Link, keyof real.Link>;
NotSentError satisfies typeof real.NotSentError;
