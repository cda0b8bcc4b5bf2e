import { InvalidArgumentError } from 'commander';
import { describe, expect, test } from 'vitest';
import {
  address,
  feedAddress,
  feedAddresses,
  jsonObject,
  outageRange,
  positiveNumber,
  sizeBytes,
  wholeNumber,
} from '../../../src/cli/values.ts';

describe('option values', () => {
  test('whole numbers in their range', () => {
    expect(wholeNumber(1, 64)('64')).toBe(64);
    for (const text of ['0', '65', '1.5', '-1', '1e1', ' 1', '', 'two']) {
      expect(() => wholeNumber(1, 64)(text), text).toThrow(InvalidArgumentError);
    }
  });

  test('numbers above 0', () => {
    expect(positiveNumber('0.5')).toBe(0.5);
    for (const text of ['0', '-1', 'NaN', 'Infinity', '']) {
      expect(() => positiveNumber(text), text).toThrow(InvalidArgumentError);
    }
  });

  test('sizes in units of 1024', () => {
    expect(['1', '2b', '3kb', '1.5gb', '4MB', '1tb'].map(sizeBytes)).toEqual([
      1,
      2,
      3_072,
      1.5 * 2 ** 30,
      4 * 2 ** 20,
      2 ** 40,
    ]);
    for (const text of ['0', '-1gb', '1g', 'gb', '', '1 gb', '999999999tb']) {
      expect(() => sizeBytes(text), text).toThrow(InvalidArgumentError);
    }
  });

  test('outages as a number or a range', () => {
    expect(outageRange('400')).toEqual({ fromMs: 400, toMs: 400 });
    expect(outageRange('0..500')).toEqual({ fromMs: 0, toMs: 500 });
    for (const text of ['500..0', '..5', '5..', 'a', '-1', '0..2147483648', '']) {
      expect(() => outageRange(text), text).toThrow(InvalidArgumentError);
    }
  });

  test('addresses with a port', () => {
    for (const text of ['127.0.0.1:0', 'localhost:65535', '[::1]:80']) expect(address(text)).toBe(text);
    for (const text of ['127.0.0.1', ':80', '::1:80', 'a:65536', 'a:b', '']) {
      expect(() => address(text), text).toThrow(InvalidArgumentError);
    }
  });

  test('feeds, by their address or by the URL of their page', () => {
    for (const text of ['127.0.0.1:80', 'http://127.0.0.1:80', 'http://127.0.0.1:80/']) {
      expect(feedAddress(text)).toBe('127.0.0.1:80');
    }
    for (const text of ['https://127.0.0.1:80', 'http://127.0.0.1', '127.0.0.1:80/feed']) {
      expect(() => feedAddress(text), text).toThrow(InvalidArgumentError);
    }
    expect(feedAddresses('a:1,http://b:2/', ['c:3'])).toEqual(['c:3', 'a:1', 'b:2']);
  });

  test('JSON objects', () => {
    expect(jsonObject('{"copyDelayMs": 5}')).toEqual({ copyDelayMs: 5 });
    for (const text of ['{', '[]', 'null', '5']) expect(() => jsonObject(text), text).toThrow(InvalidArgumentError);
  });
});
