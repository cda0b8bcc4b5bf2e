import { describe, expect, test } from 'vitest';
import { FaultBoard } from '../../../src/engine/faults.ts';
import { faultRequestFrom } from '../../../src/engine/http/fault-json.ts';

describe('fault switches', () => {
  test('a switch with times holds for so many calls', () => {
    const board = new FaultBoard({ methods: { save: { delayMs: 5, times: 2 } } });
    expect([board.take('save').delayMs, board.take('save').delayMs, board.take('save').delayMs]).toEqual([
      5,
      5,
      undefined,
    ]);
    expect(board.switches).toEqual({ methods: { save: { delayMs: 5, times: 0 } } });
  });

  test('a patch changes what it names, null takes a switch away', () => {
    const board = new FaultBoard({
      version: '1',
      copyDelayMs: 5,
      methods: { save: { hang: true }, load: { hang: true } },
    });
    board.merge({ version: null, answerLoading: 2, methods: { save: null, health: { delayMs: 1 } } });
    expect(board.switches).toEqual({
      copyDelayMs: 5,
      answerLoading: 2,
      methods: { load: { hang: true }, health: { delayMs: 1 } },
    });
    board.clear();
    expect(board.switches).toEqual({ methods: {} });
  });

  test('what hangs goes on when its switch is lifted, not when it is spent or another one is', async () => {
    const board = new FaultBoard({ methods: { save: { hang: true, times: 1 } } });
    board.take('save');
    let isLifted = false;
    const lifted = board.untilLifted('save').then(() => {
      isLifted = true;
    });
    board.merge({ methods: { load: { hang: true } }, copyDelayMs: 1 });
    await Promise.resolve();
    expect(isLifted).toBe(false);
    board.merge({ methods: { save: { delayMs: 1 } } });
    await lifted;
  });

  test('who comes to wait when the switch has been lifted already does not wait', async () => {
    const board = new FaultBoard({ methods: { registerContextBatch: { hang: true } } });
    board.take('registerContextBatch');
    board.clear();
    let isLifted = false;
    void board.untilLifted('registerContextBatch').then(() => {
      isLifted = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isLifted).toBe(true);
  });
});

describe('fault switches as JSON', () => {
  test('a request is a patch and things to do once', () => {
    expect(faultRequestFrom({ copyDelayMs: 3, version: null, forget: 'i', crash: true })).toEqual({
      patch: { copyDelayMs: 3, version: null },
      forget: 'i',
      crash: true,
    });
    expect(faultRequestFrom({})).toEqual({ patch: {}, forget: null, crash: false });
  });

  test.each([
    [[], 'faults: expected an object, got []'],
    [{ slow: 1 }, 'faults: unknown switch "slow"; known are methods, version'],
    [{ copyDelayMs: -1 }, 'faults.copyDelayMs: expected milliseconds below 2^31, got -1'],
    [{ answerLoading: 1.5 }, 'faults.answerLoading: expected a whole number of at least 0, got 1.5'],
    [{ crash: 'yes' }, 'faults.crash: expected true or false, got "yes"'],
    [{ methods: { sav: {} } }, 'faults.methods: unknown switch "sav"; known are registerContextBatch'],
    [{ methods: { save: { hang: 1 } } }, 'faults.methods.save.hang: expected true or false, got 1'],
    [
      { methods: { save: { refuse: { code: 13 } } } },
      'faults.methods.save.refuse: expected an object with code and message',
    ],
    [
      { methods: { save: { refuse: { code: 0, message: '' } } } },
      'refuse.code: expected a gRPC code from 1 to 16, got 0',
    ],
    [JSON.parse('{"__proto__": 1}'), 'unknown switch "__proto__"'],
  ])('%j is refused, naming the place', (json, words) => {
    expect(() => faultRequestFrom(json)).toThrow(words);
  });
});
