import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Fault, LinkEndCause } from '../../machines/index.ts';
import { errorCodes, errorText, isLocalFailure } from '../error-text.ts';
import { lookUps } from './look-up.ts';
import { StreamGate } from './stream-gate.ts';

export interface LinkEnd {
  readonly cause: LinkEndCause;
  readonly fault: Fault;
  /** The peer ended the connection because it was pinged too often (gRPC: ENHANCE_YOUR_CALM, `too_many_pings`). */
  readonly isPingAbuse?: true;
}

export interface LinkEvents {
  /** The peer's SETTINGS arrived: an HTTP/2 server is serving at the other end. */
  readonly up: () => void;
  /** The peer sent GOAWAY, or no stream can be opened any more: what is under way goes on, nothing new is accepted. */
  readonly draining: () => void;
  /** Once. Nothing follows it. */
  readonly down: (end: LinkEnd) => void;
  /**
   * The peer is silent: whether it owes an answer that is worth waiting for on this very connection. Then the link has ended for
   * whoever wants to use it, and is read on until {@link Link.destroy} or its own end. Default: no.
   */
  readonly isOwed?: () => boolean;
  /** Once, after a link that was read on: it is not any more. */
  readonly gone?: (cause: LinkEndCause) => void;
  /** A ping left so many milliseconds too late: our own event loop was blocked. */
  readonly stalled?: (stallMs: number) => void;
}

export interface LinkOptions {
  /** `http://host:port`. */
  readonly endpoint: string;
  /** Wait between the answer to a ping and the next one, in milliseconds. gRPC: `GRPC_ARG_KEEPALIVE_TIME_MS`. */
  readonly pingIntervalMs: number;
  /** How long there may be silence after a ping was due, in milliseconds. gRPC: `GRPC_ARG_KEEPALIVE_TIMEOUT_MS`. */
  readonly pingTimeoutMs: number;
}

/** Node's default of 10 MB would drop an early refusal while a large message is still being sent. */
const MAX_SESSION_MEMORY_MB = 1024;

/** The request never left this process. connect-node passes it on as the `cause` of its own error. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError';
}

/** Bytes that one HTTP/2 stream may receive before it must be read: whole replies of this size need no round trip. */
const STREAM_WINDOW_BYTES = 1 << 20;

/**
 * One HTTP/2 connection to one incarnation of a server. It never reconnects. It serves as connect-node's session
 * manager, so that every RPC made through it ends with it.
 */
export class Link {
  readonly authority: string;
  readonly streams = new StreamGate();
  #socket: Socket;
  #session: ClientHttp2Session;
  #events: LinkEvents;
  #options: LinkOptions;
  #isUp = false;
  #isDraining = false;
  #end: LinkEnd | null = null;
  #isReadOn = false;
  #pingsSent = 0;
  /** The next ping, or the verdict on the last one: there is never more than one of either. */
  #pingTimer: NodeJS.Timeout | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    const { hostname, port, origin } = new URL(options.endpoint);
    this.authority = origin;
    this.#events = events;
    this.#options = options;
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = connectTcp({ host, port: Number(port || 80), noDelay: true, lookup: lookUps.lookup });
    this.#socket = socket;
    // Before HTTP/2 hears of the connection and sends into it.
    socket.once('connect', () => this.#refuseItself());
    socket.once('end', () => this.#finish('closed', 'the server closed the connection'));
    socket.once('error', (error) => this.#fail(error));
    socket.once('close', () => this.#finish('closed', 'the connection is closed'));
    this.#session = connectHttp2(origin, {
      createConnection: () => socket,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    // Node answers a GOAWAY with one of its own, at which pegaflow-server ends a connection with its calls still open.
    this.#session.goaway = () => {};
    this.#session.once('remoteSettings', () => {
      if (this.#end !== null) return;
      this.#isUp = true;
      this.#schedulePing();
      events.up();
    });
    this.#session.on('remoteSettings', ({ maxConcurrentStreams }) =>
      this.streams.setLimit(maxConcurrentStreams ?? Number.POSITIVE_INFINITY),
    );
    this.#session.on('goaway', (code, _lastStreamId, debugData) => {
      if (code === constants.NGHTTP2_NO_ERROR) this.#drain();
      else this.#refuse(code, debugData === undefined ? '' : textOf(debugData));
    });
    // Stays attached for life: a session that is destroyed with an error emits it a turn later.
    this.#session.on('error', (error) => this.#fail(error));
  }

  get isUp(): boolean {
    return this.#isUp && this.#end === null;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** `null` while the link lives. */
  get end(): LinkEnd | null {
    return this.#end;
  }

  /** The link has ended because its peer is silent, and answers to what was asked on it are still taken. */
  get isReadOn(): boolean {
    return this.#isReadOn;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** The two ends of the connection, as this host names them; `null` before TCP is connected. */
  get addresses(): ConnectionAddresses | null {
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
    if (!localAddress || !localPort || !remoteAddress || !remotePort) return null;
    return { localAddress, localPort, remoteAddress, remotePort };
  }

  /** Ends the connection and every RPC on it, at once; one that is read on stays. */
  drop(): void {
    if (!this.#isReadOn) this.#finish('dropped', 'the link was given up');
  }

  /** As {@link drop}, also where the link is read on. */
  destroy(): void {
    this.#finish('dropped', 'the link was given up');
  }

  /** For connect-node. */
  async request(
    method: string,
    path: string,
    headers: Record<string, string | string[] | undefined>,
  ): Promise<ClientHttp2Stream> {
    if (this.#end !== null) throw new NotSentError(this.#end.fault.message);
    // Node would queue it, to fail when the connection ends.
    if (this.#isDraining) throw this.#drainingError();
    const stream = this.#session.request({ ...headers, ':method': method, ':path': path });
    // What ends it in this very turn comes before connect-node can listen, and would end the process.
    stream.on('error', () => {});
    if (stream.destroyed) {
      // A connection has 2^30. The streams that are open go on.
      this.#drain();
      throw new NotSentError(`${this.authority}: the stream ids of this connection are used up`);
    }
    return stream;
  }

  /** For connect-node, whose own manager puts off its pings with it. */
  notifyResponseByteRead(): void {}

  #drainingError(): NotSentError {
    return new NotSentError(`${this.authority}: the server is draining`);
  }

  #drain(): void {
    if (this.#isDraining || this.#end !== null) return;
    this.#isDraining = true;
    this.streams.close(this.#drainingError());
    this.#events.draining();
  }

  /**
   * A dial of a port that nobody listens on may be given that port as its own, and TCP then connects it to itself. Its
   * ordinary end would keep the port in TIME_WAIT, and the server from listening, for a minute; a reset gives it back.
   */
  #refuseItself(): void {
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
    if (localPort !== remotePort || localAddress !== remoteAddress) return;
    this.#socket.resetAndDestroy();
    this.#finish('refused', 'nobody listens: the dial met itself');
  }

  /** The error with which we destroyed the session comes back here as well. */
  #fail(error: NodeJS.ErrnoException): void {
    if (this.#end === null || this.#isReadOn) this.#finish(causeOf(error), errorText(error));
  }

  /** GOAWAY with an error; its debug data are for people, and this one word for everybody. */
  #refuse(code: number, said: string): void {
    const isPingAbuse = code === constants.NGHTTP2_ENHANCE_YOUR_CALM && said === 'too_many_pings';
    const why = said === '' ? '' : ` (${said})`;
    const message = `the server ended the connection with HTTP/2 error ${code}${why}`;
    this.#finish('protocolError', message, isPingAbuse ? { isPingAbuse } : {});
  }

  #finish(cause: LinkEndCause, message: string, details: Pick<LinkEnd, 'isPingAbuse'> = {}): void {
    if (this.#end !== null && !this.#isReadOn) return;
    const wasReadOn = this.#isReadOn;
    this.#isReadOn = false;
    this.#end ??= { ...this.#ended(cause, message), ...details };
    clearTimeout(this.#pingTimer);
    this.streams.close(new NotSentError(this.#end.fault.message));
    // With an error: without one, Node leaves the RPCs that wait for an answer waiting.
    this.#session.destroy(new ConnectError(this.#end.fault.message, Code.Unavailable), constants.NGHTTP2_CANCEL);
    this.#socket.destroy();
    if (wasReadOn) this.#events.gone?.(cause);
    else this.#events.down(this.#end);
  }

  /** Closed, the answers that a frozen peer still owes would be lost: nothing else proves so cheaply that it is done. */
  #finishSilent(message: string): void {
    if (!this.#events.isOwed?.()) {
      this.#finish('pingLost', message);
      return;
    }
    this.#end = this.#ended('pingLost', message);
    this.#isReadOn = true;
    clearTimeout(this.#pingTimer);
    this.#events.down(this.#end);
  }

  #ended(cause: LinkEndCause, message: string): LinkEnd {
    return { cause, fault: { kind: 'unreachable', message: `${this.authority}: ${message}` } };
  }

  #schedulePing(): void {
    clearTimeout(this.#pingTimer);
    const dueMs = performance.now() + this.#options.pingIntervalMs;
    const ping = () => {
      const lateMs = performance.now() - dueMs;
      if (lateMs > STALLED_MS) this.#events.stalled?.(lateMs);
      this.#ping();
    };
    this.#pingTimer = setTimeout(ping, this.#options.pingIntervalMs).unref();
  }

  /** Also after a GOAWAY: what is under way on a connection that is half open would wait for ever. */
  #ping(): void {
    if (this.#end !== null || this.#session.destroyed) return;
    const bytesBefore = this.#socket.bytesRead;
    this.#pingsSent += 1;
    const number = this.#pingsSent;
    // Node refuses a ping while ten are unanswered. Nor does the answer to an earlier one end this wait.
    const answered = (error: Error | null) => {
      if (error === null && number === this.#pingsSent && this.#end === null) this.#schedulePing();
    };
    // After a GOAWAY Node sends no ping; empty SETTINGS have to be answered as well.
    if (this.#session.closed) this.#session.settings({}, answered);
    else this.#session.ping(answered);
    this.#listen(bytesBefore);
  }

  #listen(bytesBefore: number, isPutOff = false): void {
    const dueMs = performance.now() + this.#options.pingTimeoutMs;
    const judge = () => this.#judgeSilence(bytesBefore, isPutOff ? Number.POSITIVE_INFINITY : dueMs);
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(judge, this.#options.pingTimeoutMs).unref();
  }

  /**
   * Silence is that no byte has come since a ping was due. Whether that ping was answered, or could be sent at all, does not
   * matter: some proxies answer none.
   *
   * After a stall of our own event loop this timer runs before the answer that has long arrived is read. So one full turn
   * of the loop reads first. And the ping itself may have left only after the stall: a late verdict is put off by another
   * timeout, once, or a loop that is never quick would find no peer dead.
   */
  #judgeSilence(bytesBefore: number, dueMs: number): void {
    const number = this.#pingsSent;
    const timer = this.#pingTimer;
    setImmediate(() =>
      setImmediate(() => {
        if (this.#end !== null || number !== this.#pingsSent || timer !== this.#pingTimer) return;
        if (this.#socket.bytesRead > bytesBefore) this.#schedulePing();
        else if (performance.now() - dueMs > STALLED_MS) this.#listen(bytesBefore, true);
        else this.#finishSilent(`no answer to a ping in ${this.#options.pingTimeoutMs} ms`);
      }),
    );
  }
}

/** Longest debug data of a GOAWAY that are told, in bytes. */
const MAX_TOLD_BYTES = 200;

/** Debug data are whatever the peer likes; what is no printable ASCII is no words. */
function textOf(debugData: ArrayBufferView): string {
  const bytes = Buffer.from(debugData.buffer, debugData.byteOffset, Math.min(debugData.byteLength, MAX_TOLD_BYTES));
  return bytes.toString('latin1').replaceAll(/[^ -~]/g, '?');
}

/** A timer so much too late shows that our own event loop was blocked; a busy one is late by less. */
const STALLED_MS = 100;

const UNRESOLVED = ['ENOTFOUND', 'EAI_AGAIN'];

/** A name with several addresses was refused only where each of them refused. */
function causeOf(error: NodeJS.ErrnoException): LinkEndCause {
  if (isLocalFailure(error)) return 'local';
  const codes = errorCodes(error);
  if (codes.every((code) => code === 'ECONNREFUSED')) return 'refused';
  if (codes.every((code) => UNRESOLVED.includes(code))) return 'unresolved';
  return codes.some((code) => code.startsWith('ERR_HTTP2')) ? 'protocolError' : 'reset';
}

export interface ConnectionAddresses {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}
