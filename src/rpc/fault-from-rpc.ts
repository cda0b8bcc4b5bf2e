import { Code, ConnectError } from '@connectrpc/connect';
import { type Fault, FaultError, type LostThing, type Survey } from '../../machines/index.ts';
import { type Link, NotSentError } from './link.ts';

/**
 * The one place that reads what a server's refusal says. One code has several causes, so the text decides; text that
 * nobody knows is marked as such, and speaks against what was asked, not against the registration. The link is asked first:
 * the death of a server reaches an RPC under half a dozen codes. What did not come as a gRPC status is nobody's word.
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
  if (!isAnswer(error)) return { kind: kindByCode[error.code] ?? 'unreachable', ...said };
  for (const [code, pattern, build] of refusals) {
    const match = error.code === code ? pattern.exec(text) : null;
    if (match) return { ...said, ...build(match) };
  }
  const kind = kindByCode[error.code];
  if (kind !== undefined) return { kind, ...said };
  // A precondition is something about the instance: it is asked for, and found or not.
  return { kind: error.code === Code.FailedPrecondition ? 'defect' : 'rejected', ...said, isUnknown: true };
}

/**
 * A server that answers sends `grpc-status`. What the client made up has none, or another one: of a reset stream, of an answer
 * that makes no sense, of what a proxy says in HTTP alone.
 */
function isAnswer(error: unknown): boolean {
  return error instanceof ConnectError && error.metadata.get('grpc-status') === String(error.code);
}

/**
 * Whether the server itself has answered. CANCELLED, UNKNOWN, DEADLINE_EXCEEDED and UNAVAILABLE come from any proxy on the way
 * and from a server that is dying: the call may still be under way.
 */
export function isServersWord(error: unknown): boolean {
  return isAnswer(error) && !saidByAnybody.has((error as ConnectError).code);
}

const saidByAnybody: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unavailable,
]);

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
const taken = (): Verdict => ({ kind: 'rejected', isTaken: true });
const defect = (): Verdict => ({ kind: 'defect' });

const SHARE =
  'the server and this rank have to share /dev/shm, in containers as one IPC namespace or one mount, and the server has to run as the same user or as root';

type Refusal = readonly [Code, RegExp, (match: RegExpExecArray) => Verdict];

/** The words of pegaflow-server 0.23.12 to 0.25.1, which differ in none of them. */
const refusals: readonly Refusal[] = [
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
  // The names of layers are those of one registration: this is another one. A Save names no device, a Load does.
  [Code.InvalidArgument, /layer .* (is )?not registered/, forgotten('device')],
  // Ranks keep their devices: another instance has registered under our id.
  [
    Code.InvalidArgument,
    /^invalid argument: device_id .* is registered for tp_rank .*, but save requested/,
    forgotten('device'),
  ],
  // What a registration asks for: sizes, layouts, and whether it fits the others of its instance.
  [Code.InvalidArgument, /device_id .* must be >= 0|(tp|world)_size must be > 0|tp_rank \d+ out of range/, rejected],
  [Code.InvalidArgument, /must have the same non-zero length|metadata length mismatch|no KV cache layers/, rejected],
  [Code.InvalidArgument, /^invalid argument: layer .*: ./, rejected],
  [Code.InvalidArgument, /GPU context for device .* already exists|is already fully registered/, taken],
  [Code.InvalidArgument, /inconsistent geometry|storage groups must be dense|registered in storage group/, rejected],
  [Code.InvalidArgument, /claimed by different pipeline stages|incomplete KV registration|page-first/, rejected],
  [Code.InvalidArgument, /NUMA affinity is unknown/, rejected],
  // What a save, a load or a query asks for.
  [Code.InvalidArgument, /block_ids length .* does not match|block_id \d+ out of range/, rejected],
  [Code.InvalidArgument, /query lease (id must be|block count)/, rejected],
  [Code.InvalidArgument, /load (requires at least|layer names must be|group)/, rejected],
  [Code.InvalidArgument, /namespace is shared by incompatible KV layouts|missing slot/, rejected],
  [Code.InvalidArgument, /storage group \d+ out of range|(req|instance)_id must not be empty/, rejected],

  [Code.Internal, /query lease is unknown or expired/, forgotten('lease')],
  [Code.Internal, /query lease belongs to instance/, rejected],
  [Code.Internal, /pinned pool exhausted/, rejected],
  [
    Code.Internal,
    /^.*LoadState.*$/s,
    ([words]) => ({ kind: 'rejected', isOfRecord: true, message: `Internal: ${words} (${SHARE})` }),
  ],
  [Code.Internal, /register tensor failed: context .* is already registered/, taken],
  [Code.Internal, /register tensor failed/, rejected],
  [Code.Internal, /failed to initialize CUDA/, rejected],
  // The registration is there and cannot be used: memory that was unmapped, a worker thread that ended.
  [Code.Internal, /^storage error: (cu\w+( failed)?: |.* worker channel closed)/, defect],

  // A deadline that somebody on the way has added.
  [Code.Canceled, /^Timeout expired/, () => ({ kind: 'timedOut' })],
  // An endpoint that embeds only the transfer RPCs, or no PegaFlow server at all.
  [Code.Unimplemented, /.*/, () => ({ kind: 'incompatible' })],
];

/** Codes that say enough without their text. */
const kindByCode: { readonly [code in Code]?: Fault['kind'] } = {
  // A message over the server's limit of 64 MiB.
  [Code.OutOfRange]: 'rejected',
  [Code.ResourceExhausted]: 'rejected',
  [Code.DeadlineExceeded]: 'timedOut',
  [Code.Unavailable]: 'unreachable',
  [Code.Canceled]: 'unreachable',
  [Code.Aborted]: 'unreachable',
  [Code.Unknown]: 'unreachable',
};

/**
 * The answer to the probe (a membership query for a storage group that cannot exist), which is always a refusal: the
 * reason says how far the instance is registered. Throws the refusal when it says something else.
 */
export function surveyFrom(refusal: FaultError): Survey {
  const { kind, lost, message } = refusal.fault;
  if (lost === 'instance') return { kind: 'notFound' };
  const incomplete = lost === 'seal' ? /registration incomplete: (\d+)\/(\d+)/.exec(message) : null;
  if (incomplete) return { kind: 'incomplete', registered: Number(incomplete[1]), expected: Number(incomplete[2]) };
  if (kind === 'rejected' && /storage group \d+ out of range/.test(message)) return { kind: 'sealed' };
  throw refusal;
}
