import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { decodeIpcWrapper, encodeIpcWrapper, type IpcWrapper } from '../../../src/registration/ipc-wrapper.ts';
import { missing } from '../../support/missing.ts';
import { emulatedWrapper, extremeWrapper } from './wrappers.ts';

const PYTHON = '/usr/bin/python3';
const STAND_IN = fileURLToPath(new URL('./stand_in_pickler.py', import.meta.url));

interface Answer {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly pickles: Readonly<Record<string, string>>;
}

const askPython = (wrapper: IpcWrapper, ...args: readonly string[]): Answer => {
  const input = JSON.stringify([Buffer.from(encodeIpcWrapper(wrapper)).toString('base64')]);
  const [answer] = JSON.parse(
    execFileSync(PYTHON, [STAND_IN, ...args], { input, encoding: 'utf8' }),
  ) as readonly Answer[];
  if (answer === undefined) throw new Error('Python answered nothing');
  return answer;
};

const reason = missing(PYTHON, existsSync(PYTHON));

const bytes = (value: Uint8Array): object => ({ bytes: Buffer.from(value).toString('hex') });

const wrappers: readonly [string, IpcWrapper][] = [
  ['of an emulated layer', emulatedWrapper],
  ['with extreme values', extremeWrapper],
];

describe('the IPC wrapper and CPython', { timeout: 30_000 }, () => {
  test.for(wrappers)('Python unpickles a wrapper %s to the same attributes', ([, wrapper], { skip }) => {
    if (reason) skip(reason);
    expect(askPython(wrapper).attributes).toEqual({
      handle: {
        tuple: [
          wrapper.deviceIndex,
          bytes(wrapper.memoryHandle),
          wrapper.storageSizeBytes,
          wrapper.storageOffsetBytes,
          bytes(wrapper.refCounterFile),
          wrapper.refCounterSlot,
          bytes(wrapper.eventHandle),
          wrapper.eventSyncRequired,
        ],
      },
      dtype: { dtype: wrapper.dtype },
      shape: { Size: wrapper.shape },
      stride: { tuple: wrapper.stride },
      storage_offset: wrapper.storageOffset,
      device_uuid: wrapper.deviceUuid,
    });
  });

  test.for(wrappers)('a wrapper %s is read from what Python writes at protocols 0 to 5', ([, wrapper], { skip }) => {
    if (reason) skip(reason);
    const pickles = Object.entries(askPython(wrapper).pickles);
    expect(pickles.map(([protocol]) => protocol)).toEqual(['0', '1', '2', '3', '4', '5']);
    for (const [protocol, pickle] of pickles) {
      const encoded = Buffer.from(pickle, 'base64');
      if (Number(protocol) >= 2) expect([...encoded.subarray(0, 2)]).toEqual([0x80, Number(protocol)]);
      expect(decodeIpcWrapper(encoded)).toEqual(wrapper);
      expect(() => decodeIpcWrapper(encoded.subarray(0, -1))).toThrow(/ends early/);
    }
  });

  test.for(wrappers)('attributes that no server reads are ignored in a wrapper %s', ([, wrapper], { skip }) => {
    if (reason) skip(reason);
    for (const pickle of Object.values(askPython(wrapper, 'stray').pickles)) {
      expect(decodeIpcWrapper(Buffer.from(pickle, 'base64'))).toEqual(wrapper);
    }
  });
});
