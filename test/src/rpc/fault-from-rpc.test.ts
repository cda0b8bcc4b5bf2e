import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { type Fault, FaultError } from '../../../machines/index.ts';
import { faultFromRpc, surveyFromRpc } from '../../../src/rpc/fault-from-rpc.ts';
import { NotSentError } from '../../../src/rpc/link.ts';

const alive = { end: null, isDraining: false };
const gone: Fault = { kind: 'unreachable', message: 'the server closed the connection' };
const dead = { end: { cause: 'closed' as const, fault: gone }, isDraining: false };

/** What the real server says, code by code, and what it means. */
const refusals: readonly (readonly [Code, string, Partial<Fault>])[] = [
  [Code.FailedPrecondition, 'instance a-1 not found', { kind: 'forgotten', lost: 'instance' }],
  [Code.FailedPrecondition, 'device 3 not found in instance a-1', { kind: 'forgotten', lost: 'device' }],
  [Code.FailedPrecondition, 'query lease is unknown or expired', { kind: 'forgotten', lost: 'lease' }],
  [Code.Internal, 'storage error: query lease is unknown or expired', { kind: 'forgotten', lost: 'lease' }],
  [
    Code.InvalidArgument,
    'instance a-1 registration incomplete: 1/2 workers registered',
    { kind: 'forgotten', lost: 'seal' },
  ],
  [
    Code.FailedPrecondition,
    'PegaFlow version mismatch: client=0.23.12 server=0.24.0',
    { kind: 'incompatible', serverVersion: '0.24.0' },
  ],
  [
    Code.FailedPrecondition,
    'PegaFlow version mismatch: client=<missing>, server=0.24.0. Upgrade',
    { kind: 'incompatible', serverVersion: '0.24.0' },
  ],
  [Code.FailedPrecondition, 'topology mismatch: instance a-1 exists with tp=1', { kind: 'rejected' }],
  [Code.FailedPrecondition, 'RDMA transfer engine is not configured', { kind: 'rejected' }],
  [Code.FailedPrecondition, 'words nobody has read yet', { kind: 'defect' }],
  [Code.Internal, 'register tensor failed: context a-1:tp0:pp0:dev0 is already registered', { kind: 'rejected' }],
  [Code.Internal, 'storage error: query lease belongs to instance b, got a', { kind: 'rejected' }],
  [Code.Internal, 'storage error: pinned pool exhausted while allocating 4096 bytes', { kind: 'rejected' }],
  [Code.Internal, 'storage error: LoadState: no such object', { kind: 'rejected' }],
  [Code.Internal, 'storage error: Load worker channel closed for device 0', { kind: 'defect' }],
  [Code.Internal, 'storage error: copy failed', { kind: 'defect' }],
  [Code.InvalidArgument, 'invalid argument: block_id 9 out of range', { kind: 'rejected' }],
  [Code.InvalidArgument, 'invalid argument: layer 1f-2.3/l0 is not registered', { kind: 'forgotten', lost: 'device' }],
  [
    Code.InvalidArgument,
    'invalid argument: layer 1f-2.3/l0 is not registered on device 1',
    { kind: 'forgotten', lost: 'device' },
  ],
  [Code.InvalidArgument, 'GPU context for device 0 already exists', { kind: 'rejected' }],
  [Code.ResourceExhausted, 'message is larger than 67108864 bytes', { kind: 'rejected' }],
  [Code.DeadlineExceeded, 'the operation timed out', { kind: 'timedOut' }],
  [Code.Unavailable, 'connection lost', { kind: 'unreachable' }],
  [Code.Canceled, 'http/2 stream closed with error code CANCEL (0x8)', { kind: 'unreachable' }],
  [Code.Unknown, 'h2 protocol error', { kind: 'unreachable' }],
  [Code.Unimplemented, 'unknown method', { kind: 'incompatible' }],
  [Code.DataLoss, 'what is this', { kind: 'defect' }],
];

describe('faultFromRpc', () => {
  it.each(refusals)('S-35: reads %s "%s"', (code, text, expected) => {
    expect(faultFromRpc(new ConnectError(text, code), alive)).toEqual({
      message: `${Code[code]}: ${text}`,
      ...expected,
    });
  });

  it('asks the link before it reads any code', () => {
    for (const [code, text] of refusals) expect(faultFromRpc(new ConnectError(text, code), dead)).toBe(gone);
  });

  it('lets a fault through and takes what is no RPC error for a defect', () => {
    expect(faultFromRpc(new FaultError(gone), alive)).toBe(gone);
    expect(faultFromRpc(new TypeError('oops'), alive)).toEqual({ kind: 'defect', message: 'TypeError: oops' });
  });

  it('reads how long the server wants to be left alone', () => {
    const busy = (text: string) => {
      const error = new ConnectError('busy', Code.ResourceExhausted, { 'grpc-retry-pushback-ms': text });
      return faultFromRpc(error, alive).retryAfterMs;
    };
    expect(busy('250')).toBe(250);
    expect(busy('-1')).toBe(Number.MAX_SAFE_INTEGER);
    expect(busy('soon')).toBeUndefined();
  });

  it('takes a request that never left this process for an unreachable server', () => {
    const draining = { end: null, isDraining: true };
    const error = ConnectError.from(new NotSentError('the server is draining'), Code.Internal);
    expect(faultFromRpc(error, draining)).toEqual({ kind: 'unreachable', message: 'the server is draining' });
  });
});

describe('surveyFromRpc', () => {
  const survey = (code: Code, text: string) => surveyFromRpc(new ConnectError(text, code), alive);

  it('reads how far the instance is registered', () => {
    expect(survey(Code.FailedPrecondition, 'instance a not found')).toEqual({ kind: 'notFound' });
    expect(survey(Code.InvalidArgument, 'invalid argument: storage group 4294967295 out of range (1 groups)')).toEqual({
      kind: 'sealed',
    });
    expect(survey(Code.InvalidArgument, 'instance a registration incomplete: 3/8 workers registered')).toEqual({
      kind: 'incomplete',
      registered: 3,
      expected: 8,
    });
  });

  it('throws the fault where the answer is another one', () => {
    expect(() => survey(Code.InvalidArgument, 'req_id must not be empty')).toThrow(FaultError);
    expect(() => surveyFromRpc(new ConnectError('storage group 1 out of range', Code.InvalidArgument), dead)).toThrow(
      gone.message,
    );
  });
});
