import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import * as proto from '../../src/gen/pegaflow/engine_pb.ts';

/** The tag as it stands on the wire, then what follows it; text stands for its UTF-8 bytes. */
type WirePiece = readonly (number | string)[];

interface WireCase {
  readonly schema: DescMessage;
  readonly pieces: readonly WirePiece[];
  readonly message: Message;
}

const wire = <S extends DescMessage>(
  schema: S,
  pieces: readonly WirePiece[],
  value: MessageInitShape<S>,
): WireCase => ({ schema, pieces, message: create(schema, value) });

const bytesOf = (pieces: readonly WirePiece[]) =>
  Uint8Array.from(pieces.flat().flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : [part])));

/** `ResponseStatus { ok: true }`, two bytes long. */
const okStatus = [2, 0x08, 1];
const ok = { status: { ok: true } };

// A tag is field number * 8 + wire type: 0 varint, 2 length-delimited. From field 16 on it takes two bytes.
const cases: readonly WireCase[] = [
  wire(
    proto.ResponseStatusSchema,
    [
      [0x08, 1],
      [0x12, 2, 'no'],
    ],
    { ok: true, message: 'no' },
  ),
  wire(
    proto.RegisterContextRequestSchema,
    [
      [0x0a, 1, 'i'],
      [0x12, 2, 'ns'],
      [0x18, 3],
      [0x20, 4],
      [0x28, 5],
      [0x30, 6],
      [0x42, 2, 'l0'],
      [0x42, 2, 'l1'],
      [0x4a, 1, 9],
      [0x4a, 2, 8, 7],
      [0x52, 3, 10, 0x80, 0x02],
      [0x5a, 2, 11, 12],
      [0x62, 2, 13, 14],
      [0x6a, 2, 1, 2],
      [0x70, 15],
      [0x7a, 3, '1.2'],
      [0x88, 0x01, 1],
      [0x90, 0x01, 1],
      [0x9a, 0x01, 2, 0, 1],
    ],
    {
      instanceId: 'i',
      namespace: 'ns',
      tpRank: 3,
      tpSize: 4,
      worldSize: 5,
      deviceId: 6,
      layerNames: ['l0', 'l1'],
      wrapperBytes: [Uint8Array.of(9), Uint8Array.of(8, 7)],
      numBlocks: [10n, 256n],
      bytesPerBlock: [11n, 12n],
      kvStrideBytes: [13n, 14n],
      segments: [1, 2],
      ppRank: 15,
      clientVersion: '1.2',
      transferMode: proto.TransferMode.KERNEL,
      pageFirst: true,
      layerGroupIds: [0, 1],
    },
  ),
  wire(proto.RegisterContextResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(
    proto.SaveLayerSchema,
    [
      [0x0a, 1, 'l'],
      [0x12, 2, 1, 2],
      [0x1a, 1, 3],
      [0x1a, 1, 4],
    ],
    {
      layerName: 'l',
      blockIds: [1, 2],
      blockHashes: [Uint8Array.of(3), Uint8Array.of(4)],
    },
  ),
  wire(
    proto.SaveRequestSchema,
    [
      [0x0a, 1, 'i'],
      [0x10, 2],
      [0x18, 3],
      [0x22, 3, 0x0a, 1, 'l'],
      [0x28, 5],
    ],
    {
      instanceId: 'i',
      tpRank: 2,
      deviceId: 3,
      saves: [{ layerName: 'l' }],
      ppRank: 5,
    },
  ),
  wire(proto.SaveResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(
    proto.LoadRequestSchema,
    [
      [0x0a, 1, 'i'],
      [0x10, 2],
      [0x18, 3],
      [0x22, 3, 'shm'],
      [0x2a, 3, 0x0a, 1, 'l'],
      [0x32, 3, 0x0a, 1, 9],
    ],
    {
      instanceId: 'i',
      tpRank: 2,
      deviceId: 3,
      loadStateShm: 'shm',
      groups: [{ layerNames: ['l'] }],
      loads: [{ lease: Uint8Array.of(9) }],
    },
  ),
  wire(
    proto.LoadGroupSchema,
    [
      [0x0a, 1, 'a'],
      [0x0a, 1, 'b'],
    ],
    { layerNames: ['a', 'b'] },
  ),
  wire(
    proto.LoadBlockIdsSchema,
    [
      [0x0a, 2, 0x08, 5],
      [0x0a, 0],
    ],
    {
      targets: [{ target: { case: 'blockId', value: 5 } }, {}],
    },
  ),
  wire(proto.LoadBlockTargetSchema, [[0x08, 0]], { target: { case: 'blockId', value: 0 } }),
  wire(
    proto.LeaseLoadSchema,
    [
      [0x0a, 1, 9],
      [0x12, 0],
    ],
    { lease: Uint8Array.of(9), blockIdsByGroup: [{}] },
  ),
  wire(proto.LoadResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(
    proto.QueryRequestSchema,
    [
      [0x0a, 1, 'i'],
      [0x12, 1, 7],
      [0x1a, 1, 'r'],
      [0x20, 1],
      [0x28, 6],
    ],
    {
      instanceId: 'i',
      blockHashes: [Uint8Array.of(7)],
      reqId: 'r',
      waitForFullPrefix: true,
      groupId: 6,
    },
  ),
  wire(proto.QueryResponseSchema, [[0x0a, 0]], { outcome: { case: 'loading', value: {} } }),
  wire(proto.QueryResponseSchema, [[0x12, 2, 0x08, 3]], { outcome: { case: 'ready', value: { numHitBlocks: 3n } } }),
  wire(proto.QueryLoadingSchema, [], {}),
  wire(
    proto.QueryReadySchema,
    [
      [0x08, 2],
      [0x12, 1, 9],
      [0x1a, 2, 1, 3],
    ],
    {
      numHitBlocks: 2n,
      lease: Uint8Array.of(9),
      hitPositions: [1, 3],
    },
  ),
  wire(proto.ReleaseRequestSchema, [[0x0a, 1, 9]], { lease: Uint8Array.of(9) }),
  wire(proto.ReleaseResponseSchema, [], {}),
  wire(proto.UnregisterRequestSchema, [[0x0a, 1, 'i']], { instanceId: 'i' }),
  wire(proto.UnregisterResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(proto.ShutdownRequestSchema, [], {}),
  wire(proto.ShutdownResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(proto.HealthRequestSchema, [], {}),
  wire(proto.HealthResponseSchema, [[0x0a, ...okStatus]], ok),
  wire(
    proto.SessionRequestSchema,
    [
      [0x0a, 1, 'i'],
      [0x12, 2, 'ns'],
      [0x18, 3],
      [0x20, 4],
    ],
    {
      instanceId: 'i',
      namespace: 'ns',
      tpSize: 3,
      worldSize: 4,
    },
  ),
  wire(proto.SessionEventSchema, [], {}),
  wire(
    proto.TransferSlotInfoSchema,
    [
      [0x08, 1],
      [0x10, 2],
      [0x18, 3],
      [0x20, 4],
      [0x28, 5],
    ],
    {
      kPtr: 1n,
      kSize: 2n,
      vPtr: 3n,
      vSize: 4n,
      numaNode: 5,
    },
  ),
  wire(
    proto.TransferBlockInfoSchema,
    [
      [0x0a, 1, 7],
      [0x12, 2, 0x08, 1],
    ],
    {
      blockHash: Uint8Array.of(7),
      slots: [{ kPtr: 1n }],
    },
  ),
  wire(
    proto.QueryBlocksForTransferRequestSchema,
    [
      [0x0a, 2, 'ns'],
      [0x12, 1, 7],
      [0x1a, 1, 'q'],
    ],
    {
      namespace: 'ns',
      blockHashes: [Uint8Array.of(7)],
      requesterId: 'q',
    },
  ),
  wire(
    proto.QueryBlocksForTransferResponseSchema,
    [
      [0x0a, ...okStatus],
      [0x12, 3, 0x0a, 1, 7],
      [0x1a, 1, 's'],
      [0x20, 120],
    ],
    { ...ok, blocks: [{ blockHash: Uint8Array.of(7) }], transferSessionId: 's', lockTimeoutSecs: 120 },
  ),
  wire(
    proto.RdmaHandshakeRequestSchema,
    [
      [0x0a, 1, 'q'],
      [0x12, 1, 7],
    ],
    {
      requesterId: 'q',
      handshakeMetadata: Uint8Array.of(7),
    },
  ),
  wire(
    proto.RdmaHandshakeResponseSchema,
    [
      [0x0a, ...okStatus],
      [0x12, 1, 7],
    ],
    {
      ...ok,
      handshakeMetadata: Uint8Array.of(7),
    },
  ),
  wire(proto.ReleaseTransferLockRequestSchema, [[0x0a, 1, 's']], { transferSessionId: 's' }),
  wire(
    proto.ReleaseTransferLockResponseSchema,
    [
      [0x0a, ...okStatus],
      [0x10, 2],
    ],
    { ...ok, releasedBlocks: 2n },
  ),
];

const fieldNumberOf = (piece: WirePiece): number => {
  const [first, second] = piece;
  if (typeof first !== 'number' || typeof second !== 'number') throw new Error('a piece starts with its tag');
  return first < 0x80 ? first >> 3 : ((first & 0x7f) | (second << 7)) >> 3;
};

describe('the wire contract', () => {
  for (const { schema, pieces, message } of cases) {
    const bytes = bytesOf(pieces);
    const hex = Buffer.from(bytes).toString('hex');
    test(`${schema.name} is ${hex || 'empty'} on the wire`, () => {
      expect(fromBinary(schema, bytes)).toEqual(message);
      expect(Buffer.from(toBinary(schema, message)).toString('hex')).toBe(hex);
    });
  }

  test('every field of every message is in these cases, and nothing else', () => {
    const written = (schema: DescMessage) =>
      new Set(cases.filter((each) => each.schema === schema).flatMap(({ pieces }) => pieces.map(fieldNumberOf)));
    for (const message of proto.file_pegaflow_engine.messages) {
      expect(
        cases.some(({ schema }) => schema === message),
        message.name,
      ).toBe(true);
      expect(
        message.fields.map(({ number }) => number),
        message.name,
      ).toEqual([...written(message)].sort((a, b) => a - b));
    }
  });

  test('numbers and names that were once used stay reserved', () => {
    const { reservedRange, reservedName } = proto.RegisterContextRequestSchema.proto;
    expect(reservedRange.map(({ start, end }) => [start, end])).toEqual([
      [7, 8],
      [16, 17],
    ]);
    expect(reservedName).toEqual(['num_layers', 'layer_ids']);
  });

  test('a number of TransferMode that nobody knows is kept', () => {
    const bytes = Buffer.from([0x88, 0x01, 9]);
    expect(fromBinary(proto.RegisterContextRequestSchema, bytes).transferMode).toBe(9);
  });

  test('the service has twelve RPCs, one of them streaming', () => {
    expect(proto.Engine.typeName).toBe('pegaflow.Engine');
    expect(
      proto.Engine.methods.map(({ name, methodKind, input, output }) => [name, methodKind, input.name, output.name]),
    ).toEqual([
      ['RegisterContextBatch', 'unary', 'RegisterContextRequest', 'RegisterContextResponse'],
      ['Save', 'unary', 'SaveRequest', 'SaveResponse'],
      ['Load', 'unary', 'LoadRequest', 'LoadResponse'],
      ['QueryPrefetch', 'unary', 'QueryRequest', 'QueryResponse'],
      ['Release', 'unary', 'ReleaseRequest', 'ReleaseResponse'],
      ['UnregisterContext', 'unary', 'UnregisterRequest', 'UnregisterResponse'],
      ['QueryBlocksForTransfer', 'unary', 'QueryBlocksForTransferRequest', 'QueryBlocksForTransferResponse'],
      ['ReleaseTransferLock', 'unary', 'ReleaseTransferLockRequest', 'ReleaseTransferLockResponse'],
      ['RdmaHandshake', 'unary', 'RdmaHandshakeRequest', 'RdmaHandshakeResponse'],
      ['Shutdown', 'unary', 'ShutdownRequest', 'ShutdownResponse'],
      ['Health', 'unary', 'HealthRequest', 'HealthResponse'],
      ['Session', 'server_streaming', 'SessionRequest', 'SessionEvent'],
    ]);
  });
});
