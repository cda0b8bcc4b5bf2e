/** Why something failed, as plain data that fits into a context, a span and a message. */
export interface Fault {
  readonly kind: FaultKind;
  /** For people; decisions are made on `kind` and `lost`. */
  readonly message: string;
  /** What the server no longer has; only with kind `forgotten`. */
  readonly lost?: LostThing;
  /** The server's version where it said it; only with kind `incompatible`. */
  readonly serverVersion?: string;
  /** The server refused in words that are not known: the kind was told by the code alone. */
  readonly isUnknown?: true;
  /** The server cannot use the shared-memory record of a load. */
  readonly isOfRecord?: true;
  /** What was to be registered is registered there already; only with kind `rejected`. */
  readonly isTaken?: true;
  /** How long the server asked to be left alone, in milliseconds (gRPC: `grpc-retry-pushback-ms`). */
  readonly retryAfterMs?: number;
}

/**
 * - `unreachable`: nobody answered, the link is down
 * - `timedOut`: no answer within the budget
 * - `forgotten`: the server answers, but has lost our registration or lease
 * - `incompatible`: the server speaks another version
 * - `rejected`: the server answered no to this request; says nothing about the registration
 * - `defect`: what should not be: the registration is there and cannot be used, or an answer that makes no sense
 */
export type FaultKind = 'unreachable' | 'timedOut' | 'forgotten' | 'incompatible' | 'rejected' | 'defect';

/** How a link ended, as it was observed; never guessed from an RPC's error code. */
export type LinkEndCause =
  /** Nothing listens at the address: the dial was refused, or connected to itself. */
  | 'refused'
  /** The peer closed the connection (FIN). */
  | 'closed'
  /** The connection was reset (RST) or failed otherwise. */
  | 'reset'
  /** Our own process or host could not connect: no descriptor, memory or port was left, or it is not allowed to. */
  | 'local'
  /** The name has no address now. */
  | 'unresolved'
  /** A ping was not answered, and nothing else arrived either. */
  | 'pingLost'
  /** What the peer sent is not HTTP/2, or it ended the connection with an HTTP/2 error. */
  | 'protocolError'
  /** We ended it. */
  | 'dropped';

/** A lost lease alone is ambiguous: it may have expired or been used up. */
export type LostThing = 'instance' | 'device' | 'seal' | 'lease';

/** Whether the server denied that the registration is there. A lost lease does not say so: it may have expired. */
export function isDenial({ kind, lost }: Fault): boolean {
  return kind === 'forgotten' && lost !== 'lease';
}

/** An `Error` that carries its fault across promise boundaries. */
export class FaultError extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, options?: ErrorOptions) {
    super(fault.message, options);
    this.name = 'FaultError';
    this.fault = fault;
  }
}

/** Whatever was thrown, as a fault; what nobody classified is a `defect`. */
export function faultFrom(error: unknown): Fault {
  if (error instanceof FaultError) return error.fault;
  return { kind: 'defect', message: error instanceof Error ? error.message : String(error) };
}
