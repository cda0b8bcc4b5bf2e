import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeIpcWrapper, encodeIpcWrapper, type IpcWrapper } from '../../../src/registration/ipc-wrapper.ts';
import { IpcWrapperError } from '../../../src/registration/ipc-wrapper-error.ts';
import { emulatedWrapper, extremeWrapper } from './wrappers.ts';

const bytesOf = (...parts: readonly (number | string)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : [part])));

/** The encoded wrapper with the first occurrence of some text replaced by text of the same length. */
const withText = (wrapper: IpcWrapper, from: string, to: string): Uint8Array => {
  const bytes = encodeIpcWrapper(wrapper);
  const at = Buffer.from(bytes).indexOf(from, 0, 'latin1');
  expect(at).toBeGreaterThan(0);
  expect(to.length).toBe(from.length);
  bytes.set(Buffer.from(to, 'latin1'), at);
  return bytes;
};

const size = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 400 });
const dimensions = fc.array(fc.tuple(size, size), { maxLength: 6 });

const anyWrapper: fc.Arbitrary<IpcWrapper> = fc
  .record({
    deviceIndex: size,
    memoryHandle: bytes,
    storageSizeBytes: size,
    storageOffsetBytes: size,
    refCounterFile: bytes,
    refCounterSlot: size,
    eventHandle: bytes,
    eventSyncRequired: fc.boolean(),
    dtype: fc.constantFrom('bfloat16', 'float16', 'uint8'),
    dimensions,
    storageOffset: size,
    deviceUuid: fc.string({ unit: 'grapheme' }),
  })
  .map(({ dimensions: pairs, ...rest }) => ({
    ...rest,
    shape: pairs.map(([length]) => length),
    stride: pairs.map(([, step]) => step),
  }));

/** What `decodeIpcWrapper` may do with bytes that nobody vouches for. */
const decodesOrRefuses = (input: Uint8Array): void => {
  try {
    decodeIpcWrapper(input);
  } catch (error) {
    if (!(error instanceof IpcWrapperError)) throw error;
  }
};

describe('the IPC wrapper', () => {
  test.each([
    ['of an emulated layer', emulatedWrapper],
    ['with extreme values', extremeWrapper],
  ])('%s comes back as it went in', (_, wrapper) => {
    expect(decodeIpcWrapper(encodeIpcWrapper(wrapper))).toEqual(wrapper);
  });

  test('comes back as it went in, whatever is in it', () => {
    fc.assert(
      fc.property(anyWrapper, (wrapper) => {
        expect(decodeIpcWrapper(encodeIpcWrapper(wrapper))).toEqual(wrapper);
      }),
    );
  });

  test('is a pickle of protocol 4', () => {
    expect([...encodeIpcWrapper(emulatedWrapper).subarray(0, 2)]).toEqual([0x80, 4]);
  });

  test('shares no memory with the bytes that it was read from', () => {
    const encoded = encodeIpcWrapper(emulatedWrapper);
    const decoded = decodeIpcWrapper(encoded);
    encoded.fill(0);
    expect(decoded).toEqual(emulatedWrapper);
  });

  test.each<[string, Partial<IpcWrapper>, RegExp]>([
    ['a negative number', { refCounterSlot: -1 }, /-1 is not an integer of 0 or more/],
    ['a fraction', { shape: [1.5] }, /1.5 is not an integer/],
    ['a number beyond 2^53', { storageSizeBytes: 2 ** 53 }, /is not an integer/],
    ['a dtype that torch does not have', { dtype: 'bf16' }, /torch has no dtype "bf16"/],
  ])('%s cannot be written', (_, change, message) => {
    expect(() => encodeIpcWrapper({ ...emulatedWrapper, ...change })).toThrow(message);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['no bytes', bytesOf(), /ends early/],
    ['no pickle', bytesOf('hello'), /recalls|takes more|has opcode|ends/],
    ['a pickle of protocol 6', bytesOf(0x80, 6, '.'), /has protocol 6/],
    ['nothing but an end', bytesOf(0x80, 4, '.'), /takes more from its stack/],
    ['another object', bytesOf(0x80, 4, 'K', 5, '.'), /the pickled object is 5, not instance/],
    ['a mark without anything behind it', bytesOf(0x80, 4, '(', '.'), /takes more from its stack/],
    ['a mark that was not set', bytesOf(0x80, 4, 't', '.'), /a mark that it did not set/],
    ['an empty memo', bytesOf(0x80, 4, 'h', 3, '.'), /recalls entry 3/],
    ['a call of a shell', bytesOf(0x80, 2, 'cos\nsystem\nX', 4, 0, 0, 0, 'true', 0x85, 'R.'), /refers to os\.system/],
    ['a callable of torch', bytesOf(0x80, 2, 'ctorch\nload\n.'), /refers to torch\.load/],
    ['a persistent id', bytesOf(0x80, 2, 'P0\n.'), /has opcode 0x50 at byte 2/],
    ['a list', bytesOf(0x80, 2, '].'), /the pickled object is a list/],
    ['an evaluation', bytesOf('c__builtin__\neval\n(V1\ntR.'), /refers to builtins\.eval/],
    [
      'another base class',
      bytesOf('ccopy_reg\n_reconstructor\n(cpegaflow.ipc_wrapper\nCudaIPCWrapper\nctorch\nSize\nNtR.'),
      /calls copyreg/,
    ],
    ['a malformed number', bytesOf('I1_000\n.'), /has a malformed number/],
    ['a pickle that does not end', new Uint8Array(1 << 20).fill(0x4e), /ends early/],
    ['a line without an end', bytesOf(0x80, 2, 'ctorch'), /ends inside the line/],
    ['a frame beyond the end', bytesOf(0x80, 4, 0x95, 9, 0, 0, 0, 0, 0, 0, 0, '.'), /a frame of 9 bytes, 1 left/],
    ['text that is not UTF-8', bytesOf(0x80, 4, 0x8c, 1, 0xff, '.'), /not UTF-8/],
    ['an integer beyond 2^53', bytesOf(0x80, 2, 0x8a, 8, '\0\0\0\0\0\0\0\x7f', '.'), /object is 9151314442816847872/],
    [
      'an object without attributes',
      bytesOf(0x80, 2, 'cpegaflow.ipc_wrapper\nCudaIPCWrapper\n)', 0x81, '.'),
      /shape is absent/,
    ],
    [
      'an object made with arguments',
      bytesOf(0x80, 2, 'cpegaflow.ipc_wrapper\nCudaIPCWrapper\n)', 0x85, 0x81, '.'),
      /makes an/,
    ],
    ['an object of another class', bytesOf(0x80, 2, 'ctorch\nSize\n)', 0x81, '.'), /makes an object of torch\.Size/],
  ])('%s is refused', (_, input, message) => {
    expect(() => decodeIpcWrapper(input)).toThrow(message);
    expect(() => decodeIpcWrapper(input)).toThrow(IpcWrapperError);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['another class', withText(emulatedWrapper, 'CudaIPCWrapper', 'CudaIPCWrappeR'), /refers to pegaflow.ipc_wrapper/],
    ['an attribute given twice', withText(emulatedWrapper, 'stride', 'handle'), /handle has 5 items/],
    ['an unknown dtype', withText(emulatedWrapper, 'bfloat16', 'qfloat16'), /refers to torch.qfloat16/],
  ])('a wrapper with %s is refused', (_, input, message) => {
    expect(() => decodeIpcWrapper(input)).toThrow(message);
    expect(() => decodeIpcWrapper(input)).toThrow(IpcWrapperError);
  });

  test('a wrapper with shape and stride of different length is refused', () => {
    const input = encodeIpcWrapper({ ...emulatedWrapper, stride: [1, 2] });
    expect(() => decodeIpcWrapper(input)).toThrow(/shape has 5 dimensions, stride 2/);
  });

  test('every cut is refused, and what follows the end is not looked at', () => {
    const encoded = encodeIpcWrapper(emulatedWrapper);
    for (let lengthBytes = 0; lengthBytes < encoded.length; lengthBytes += 1) {
      expect(() => decodeIpcWrapper(encoded.subarray(0, lengthBytes))).toThrow(IpcWrapperError);
    }
    expect(decodeIpcWrapper(Uint8Array.of(...encoded, 0x2e, 0xff))).toEqual(emulatedWrapper);
  });

  test('a wrapper without a stride is read as one of an old release', () => {
    expect(decodeIpcWrapper(withText(emulatedWrapper, 'stride', 'strike'))).toEqual({
      ...emulatedWrapper,
      stride: null,
    });
  });

  test('a wrapper without a storage offset begins where its storage does', () => {
    const input = withText({ ...emulatedWrapper, storageOffset: 7 }, 'storage_offset', 'storage_offSet');
    expect(decodeIpcWrapper(input).storageOffset).toBe(0);
  });

  test('random bytes are read or refused, never worse', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decodesOrRefuses), { numRuns: 1000 });
    const started = fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.of(0x80, 4, ...rest));
    fc.assert(fc.property(started, decodesOrRefuses), { numRuns: 1000 });
  });

  test('a damaged wrapper is read or refused, never worse', () => {
    const edit = fc.record({ at: fc.nat(), removed: fc.nat({ max: 4 }), inserted: fc.uint8Array({ maxLength: 4 }) });
    fc.assert(
      fc.property(anyWrapper, fc.array(edit, { minLength: 1, maxLength: 4 }), (wrapper, edits) => {
        const damaged = edits.reduce(
          (input, { at, removed, inserted }) => {
            const start = at % input.length;
            return [...input.slice(0, start), ...inserted, ...input.slice(start + removed), 0x2e];
          },
          Array.from(encodeIpcWrapper(wrapper)),
        );
        decodesOrRefuses(Uint8Array.from(damaged));
        decodesOrRefuses(Uint8Array.from(damaged.slice(0, -1)));
      }),
      { numRuns: 2000 },
    );
  });
});
