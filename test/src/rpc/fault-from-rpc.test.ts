import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { type Fault, FaultError } from '../../../machines/index.ts';
import { faultFromRpc, surveyFrom } from '../../../src/rpc/fault-from-rpc.ts';
import { NotSentError } from '../../../src/rpc/link.ts';

const alive = { end: null, isDraining: false };
const gone: Fault = { kind: 'unreachable', message: 'the server closed the connection' };
const dead = { end: { cause: 'closed' as const, fault: gone }, isDraining: false };

/** What pegaflow-server 0.23.12 to 0.25.1 say, word for word, and what it means. */
const refusals: readonly (readonly [Code, string, Partial<Fault>])[] = [
  // Register
  [
    Code.FailedPrecondition,
    'PegaFlow version mismatch: client=0.24.6 server=0.25.1',
    { kind: 'incompatible', serverVersion: '0.25.1' },
  ],
  [
    Code.FailedPrecondition,
    'PegaFlow version mismatch: client=<missing> server=0.25.1',
    { kind: 'incompatible', serverVersion: '0.25.1' },
  ],
  [
    Code.FailedPrecondition,
    'PegaFlow version mismatch: client=<missing>, server=0.24.0. Upgrade',
    { kind: 'incompatible', serverVersion: '0.24.0' },
  ],
  ...rejected(Code.InvalidArgument, [
    'device_id -1 must be >= 0',
    'tp_size must be > 0',
    'world_size must be > 0',
    'tp_rank 1 out of range (tp_size 1)',
    'all layer arrays must have the same non-zero length (got layer_names=0)',
    'invalid argument: registration metadata length mismatch: layer_names=2, layer_group_ids=3',
    'invalid argument: layer l0: segment_bytes, num_blocks, and segments must be non-zero',
    'invalid argument: layer l0: kv_stride_bytes 1024 < segment_bytes 4096: segments would overlap',
    'invalid argument: layer l0: kv_stride_bytes 32768 overlaps blocks 8 apart',
    'invalid argument: layer l0: split layout (kv_stride_bytes 8192 > segment_bytes 4096) supports exactly 2 segments, got 3',
    'invalid argument: layer l0: registered memory too small: need 65536 bytes, got 65520',
    'invalid argument: layer l0: memory layout overflow',
    'invalid argument: layer l0: block size overflow',
    'invalid argument: NUMA affinity is unknown for device 0',
    'invalid argument: no KV cache layers',
    'invalid argument: layer l1 registered with inconsistent geometry: segment_bytes=4096 split=false padded_block_bytes=4096 vs segment_bytes=2048 split=true padded_block_bytes=4096 on device 1',
    'invalid argument: layer l1 registered in storage group 1 on one device but group 0 on device 1',
    'invalid argument: storage groups must be dense 0..3: an unregistered group would never seal its blocks',
    'invalid argument: page-first storage does not support multiple storage groups (2 registered)',
    'invalid argument: page-first layer b claimed by shards 0 and 1: registered layer sets must be identical (replica) or disjoint (split)',
    'invalid argument: layer a claimed by different pipeline stages: device=0 pp_rank=0; device=1 pp_rank=1 tp_rank=0',
    'invalid argument: instance w has incomplete KV registration: layer l0 has no owner for tp_rank 1 after all 2 workers registered',
  ]),
  ...rejected(Code.FailedPrecondition, [
    'topology mismatch: instance a exists with tp=1, world=1, page_first=false; requested tp=1, world=2, page_first=false',
  ]),
  ...[
    [Code.InvalidArgument, 'invalid argument: GPU context for device 0 already exists'],
    [
      Code.InvalidArgument,
      'invalid argument: instance a is already fully registered (1 workers); device 1 cannot join',
    ],
    [Code.Internal, 'register tensor failed: context a-1:tp0:pp0:dev0 is already registered'],
  ].map(([code, text]) => [code as Code, text as string, { kind: 'rejected', isTaken: true }] as const),
  ...rejected(Code.Internal, [
    'register tensor failed: layer l0 appears more than once in context a-1:tp0:pp0:dev0',
    'register tensor failed: context a-1:tp0:pp0:dev1 is pinned to device 1 but got 0',
    'register tensor failed: pickle data was truncated',
    'failed to initialize CUDA: load worker exited before CUDA initialization on device 0',
  ]),
  // Save, load, query
  [Code.FailedPrecondition, 'instance a-1 not found', { kind: 'forgotten', lost: 'instance' }],
  [Code.FailedPrecondition, 'device 3 not found in instance a-1', { kind: 'forgotten', lost: 'device' }],
  [
    Code.InvalidArgument,
    'invalid argument: instance a-1 registration incomplete: 1/2 workers registered',
    { kind: 'forgotten', lost: 'seal' },
  ],
  ...[
    'invalid argument: layer 1f-2.3/l0 is not registered',
    'invalid argument: layer c not registered on device',
    'invalid argument: layer a not registered on device 1',
    'invalid argument: device_id 0 is registered for tp_rank 0, pp_rank 0, but save requested tp_rank 1, pp_rank 0',
  ].map((text) => [Code.InvalidArgument, text, { kind: 'forgotten', lost: 'device' }] as const),
  ...rejected(Code.InvalidArgument, [
    'block_ids length 2 does not match block_hashes 1 for layer l0',
    'invalid argument: block_id 16 out of range (num_blocks=16) for layer l0',
    "invalid argument: page-first save must cover all 2 layers of shard 0, got 1 distinct (one worker must write a shard's entire page)",
    'invalid argument: page-first save requires the same block set across all layers',
    'invalid argument: page-first save does not support split K/V (layer l0)',
    'query lease id must be non-empty',
    'query lease id must be 16 bytes, got 3',
    'invalid argument: query lease block count 1 does not match destination block count 0 for group 0',
    'invalid argument: load requires at least one layer group',
    'invalid argument: load layer names must be unique across groups',
    'invalid argument: load group count 1 does not match layer group count 2',
    'invalid argument: load group mixes storage groups 0 and 1 (layer b)',
    'invalid argument: tp_rank 5 out of range (tp_size 1)',
    'invalid argument: stored block has 2 slots but storage group 0 of instance b expects 1: namespace is shared by incompatible KV layouts',
    'req_id must not be empty',
    'invalid argument: storage group 7 out of range (1 groups)',
    'instance_id must not be empty',
  ]),
  [Code.Internal, 'storage error: query lease is unknown or expired', { kind: 'forgotten', lost: 'lease' }],
  [Code.FailedPrecondition, 'query lease is unknown or expired', { kind: 'forgotten', lost: 'lease' }],
  ...rejected(Code.Internal, [
    'storage error: query lease belongs to instance a, got b',
    'storage error: pinned pool exhausted while allocating block buffer',
    'storage error: pinned pool exhausted while allocating K segment buffer',
  ]),
  ...ofRecord([
    'storage error: LoadState: failed to open shared memory: Opening the shared memory failed, os error 2',
    'storage error: LoadState: shared memory too small (actual=16 bytes, required=32 bytes)',
  ]),
  // The registration is there and cannot be used.
  [Code.Internal, 'storage error: cuMemcpyDtoHAsync failed: CUDA_ERROR_ILLEGAL_ADDRESS', { kind: 'defect' }],
  [Code.Internal, 'storage error: Load worker channel closed for device 0', { kind: 'defect' }],
  // Whatever is asked
  ...rejected(Code.FailedPrecondition, ['RDMA transfer engine is not configured']),
  ...rejected(Code.OutOfRange, [
    'Error, decoded message length too large: found 73400606 bytes, the limit is: 67108864 bytes',
  ]),
  ...rejected(Code.ResourceExhausted, ['message is larger than 67108864 bytes']),
  [Code.DeadlineExceeded, 'the operation timed out', { kind: 'timedOut' }],
  [Code.Canceled, 'Timeout expired', { kind: 'timedOut' }],
  [Code.Unavailable, 'connection lost', { kind: 'unreachable' }],
  [Code.Canceled, 'http/2 stream closed with error code CANCEL (0x8)', { kind: 'unreachable' }],
  [Code.Unknown, 'h2 protocol error', { kind: 'unreachable' }],
  [Code.Unimplemented, '', { kind: 'incompatible' }],
];

function rejected(code: Code, texts: readonly string[]) {
  return texts.map((text) => [code, text, { kind: 'rejected' }] as const);
}

/** What to do is said with it. */
function ofRecord(texts: readonly string[]) {
  return texts.map((text) => {
    const message = `Internal: ${text} (the server and this rank have to share /dev/shm, in containers as one IPC namespace or one mount, and the server has to run as the same user or as root)`;
    return [Code.Internal, text, { kind: 'rejected', isOfRecord: true, message }] as const;
  });
}

const unknown: readonly (readonly [Code, string, Fault['kind']])[] = [
  [Code.FailedPrecondition, 'words nobody has read yet', 'defect'],
  [Code.InvalidArgument, 'invalid argument: words nobody has read yet', 'rejected'],
  [Code.Internal, 'storage error: words nobody has read yet', 'rejected'],
  [Code.DataLoss, 'what is this', 'rejected'],
];

/** What a server answers carries its status in the metadata. */
const answered = (text: string, code: Code) => new ConnectError(text, code, { 'grpc-status': String(code) });

describe('faultFromRpc', () => {
  it.each(refusals)('S-35: reads %s "%s"', (code, text, expected) => {
    expect(faultFromRpc(answered(text, code), alive)).toEqual({ message: `${Code[code]}: ${text}`, ...expected });
  });

  it.each(unknown)('S-35: marks %s "%s" as unknown, and goes by the code', (code, text, kind) => {
    const message = `${Code[code]}: ${text}`;
    expect(faultFromRpc(answered(text, code), alive)).toEqual({ kind, message, isUnknown: true });
  });

  it('does not read what no server said: a code that the client made up is that of nobody', () => {
    for (const [code, text, expected] of refusals) {
      const { kind, lost, isUnknown } = faultFromRpc(new ConnectError(text, code), alive);
      const isLimit = code === Code.ResourceExhausted || code === Code.OutOfRange;
      expect([kind, lost, isUnknown]).toEqual([
        isLimit ? 'rejected' : code === Code.DeadlineExceeded ? 'timedOut' : 'unreachable',
        undefined,
        undefined,
      ]);
      if (isLimit) expect(expected.kind).toBe('rejected');
    }
    const other = new ConnectError('instance a not found', Code.Unimplemented, { 'grpc-status': '9' });
    expect(faultFromRpc(other, alive).kind).toBe('unreachable');
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

describe('surveyFrom', () => {
  const refusal = (code: Code, text: string, link: Parameters<typeof faultFromRpc>[1] = alive) =>
    new FaultError(faultFromRpc(answered(text, code), link));
  const survey = (code: Code, text: string) => surveyFrom(refusal(code, text));

  it('reads how far the instance is registered', () => {
    expect(survey(Code.FailedPrecondition, 'instance a not found')).toEqual({ kind: 'notFound' });
    expect(survey(Code.InvalidArgument, 'invalid argument: storage group 4294967295 out of range (1 groups)')).toEqual({
      kind: 'sealed',
    });
    expect(survey(Code.InvalidArgument, 'instance org/7/9 registration incomplete: 3/8 workers registered')).toEqual({
      kind: 'incomplete',
      registered: 3,
      expected: 8,
    });
  });

  it('throws the refusal where the answer is another one', () => {
    expect(() => survey(Code.InvalidArgument, 'req_id must not be empty')).toThrow(FaultError);
    const unheard = refusal(Code.InvalidArgument, 'storage group 1 out of range', dead);
    expect(() => surveyFrom(unheard)).toThrow(gone.message);
  });
});
