import { Code, ConnectError } from '@connectrpc/connect';
import { type Fault, FaultError, type LostThing, type Survey } from '../../machines/index.ts';
import { type Link, NotSentError } from './link.ts';

/**
 * The one place that reads what a server's refusal says. One code has several causes, so the text decides; text that
 * nobody knows takes the safe branch, `defect`. The link is asked first: the death of a server reaches an RPC under
 * half a dozen codes.
 */
export function faultFromRpc(error: unknown, link: Pick<Link, 'end' | 'isDraining'>): Fault {
  if (error instanceof FaultError) return error.fault;
  if (link.end !== null) return link.end.fault;
  if (!(error instanceof ConnectError)) {
    return { kind: link.isDraining ? 'unreachable' : 'defect', message: String(error) };
  }
  if (isUnprocessed(error)) return { kind: 'unreachable', message: error.rawMessage };
  const text = error.rawMessage;
  const said = { message: `${Code[error.code]}: ${text}`, ...pushbackIn(error) };
  for (const [code, pattern, build] of refusals) {
    const match = error.code === code ? pattern.exec(text) : null;
    if (match) return { ...said, ...build(match) };
  }
  return { kind: kindByCode[error.code] ?? 'defect', ...said };
}

/** gRPC (proposal A6): how long the server wants to be left alone; a negative value means "do not ask again". */
function pushbackIn(error: ConnectError): Pick<Fault, 'retryAfterMs'> {
  const text = error.metadata.get('grpc-retry-pushback-ms');
  if (text === null || !/^-?\d+$/.test(text)) return {};
  const pushbackMs = Number(text);
  return { retryAfterMs: pushbackMs < 0 ? Number.MAX_SAFE_INTEGER : pushbackMs };
}

/**
 * The request never left this process, or its stream was refused, by GOAWAY or by itself: then the server has not
 * processed it (RFC 9113, section 8.7).
 */
export function isUnprocessed(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  return error.cause instanceof NotSentError || /REFUSED_STREAM/.test(error.rawMessage);
}

type Verdict = Pick<Fault, 'kind'> & Partial<Fault>;

const forgotten = (lost: LostThing) => (): Verdict => ({ kind: 'forgotten', lost });
const rejected = (): Verdict => ({ kind: 'rejected' });

const refusals: readonly (readonly [Code, RegExp, (match: RegExpExecArray) => Verdict])[] = [
  [Code.FailedPrecondition, /^instance .* not found/, forgotten('instance')],
  [Code.FailedPrecondition, /^device .* not found in instance/, forgotten('device')],
  [Code.FailedPrecondition, /query lease is unknown or expired/, forgotten('lease')],
  [
    Code.FailedPrecondition,
    /version mismatch: .*server=([\w.+-]*\w)/,
    ([, serverVersion = '']) => ({ kind: 'incompatible', serverVersion }),
  ],
  [Code.FailedPrecondition, /topology mismatch/, rejected],
  [Code.FailedPrecondition, /RDMA transfer engine is not configured/, rejected],
  [Code.InvalidArgument, /registration incomplete: \d+\/\d+/, forgotten('seal')],
  // The names of layers are those of one registration: this is another one.
  [Code.InvalidArgument, /layer .* is not registered/, forgotten('device')],
  [Code.Internal, /query lease is unknown or expired/, forgotten('lease')],
  [Code.Internal, /lease belongs to instance|belongs to instance .*, got/, rejected],
  [Code.Internal, /pinned pool exhausted/, rejected],
  [Code.Internal, /LoadState/, rejected],
  [Code.Internal, /register tensor failed/, rejected],
  // An endpoint that embeds only the transfer RPCs, or no PegaFlow server at all.
  [Code.Unimplemented, /.*/, () => ({ kind: 'incompatible' })],
];

const kindByCode: { readonly [code in Code]?: Fault['kind'] } = {
  [Code.InvalidArgument]: 'rejected',
  [Code.ResourceExhausted]: 'rejected',
  [Code.DeadlineExceeded]: 'timedOut',
  [Code.Unavailable]: 'unreachable',
  [Code.Canceled]: 'unreachable',
  [Code.Aborted]: 'unreachable',
  [Code.Unknown]: 'unreachable',
};

/**
 * The answer to the probe (a membership query for a storage group that cannot exist), which is always a refusal: the
 * reason says how far the instance is registered. Throws a FaultError when it says something else.
 */
export function surveyFromRpc(error: unknown, link: Pick<Link, 'end' | 'isDraining'>): Survey {
  const fault = faultFromRpc(error, link);
  if (fault.kind === 'forgotten' && fault.lost === 'instance') return { kind: 'notFound' };
  const text = error instanceof ConnectError && link.end === null ? error.rawMessage : '';
  const incomplete = /registration incomplete: (\d+)\/(\d+)/.exec(text);
  if (incomplete) return { kind: 'incomplete', registered: Number(incomplete[1]), expected: Number(incomplete[2]) };
  if (/storage group \d+ out of range/.test(text)) return { kind: 'sealed' };
  throw new FaultError(fault, { cause: error });
}
