import { createHash, randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { publicEndpoint, redacted } from '../../src/redacted.ts';

describe('redacted', () => {
  it.each([
    ['hex', (bytes: Buffer) => bytes.toString('hex')],
    ['base64', (bytes: Buffer) => bytes.toString('base64')],
    ['base64url', (bytes: Buffer) => bytes.toString('base64url')],
    ['numbers', (bytes: Buffer) => [...bytes].join(',')],
    ['numbers on lines of their own', (bytes: Buffer) => [...bytes].join(',  ')],
    ['numbers with spaces', (bytes: Buffer) => [...bytes].join(', ')],
  ])('keeps eight letters of bytes written as %s, wherever they stand', (_, written) => {
    const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 }).map((array) => written(Buffer.from(array)));
    fc.assert(
      fc.property(bytes, (secret) => {
        expect(redacted(`lease (${secret}) is not known`)).toBe(`lease (${secret.slice(0, 8)}…) is not known`);
      }),
    );
  });

  it('shortens ids that a boot or an instance was given', () => {
    const id = randomUUID();
    expect(redacted(`rank 3: boot ${id} was replaced`)).toBe(`rank 3: boot ${id.slice(0, 8)}… was replaced`);
  });

  it.each([
    'http://127.0.0.1:31532: connect ECONNREFUSED 127.0.0.1:31532',
    'registration stalled: RegisterContextBatch is not answered',
    'rank 12: cudaIpcOpenMemHandle: cudaErrorInsufficientDriver (35)',
    '1 of 2 ranks are registered',
    'model.layers.31.self_attn.attn is already registered',
  ])('leaves a word to people as it is: %s', (text) => {
    expect(redacted(text)).toBe(text);
  });

  it('leaves nothing that moves the cursor of a terminal', () => {
    expect(redacted('no\u001b[2J\nsuch\tinstance')).toBe('no [2J such instance');
  });

  it.each([
    ['http://user:pw@host:50055: connection refused', 'http://…@host:50055: connection refused'],
    ['(https://token@host/v1/traces)', '(https://…@host/v1/traces)'],
    ['http://user:p@ss:w@rd@10.0.0.7:1 is not there', 'http://…@10.0.0.7:1 is not there'],
    ['GET http://host:4318/v1?api_key=secret failed', 'GET http://host:4318/v1?… failed'],
    ['grpc://host:1#secret', 'grpc://host:1?…'],
    ['two: http://a:b@c and http://d?e', 'two: http://…@c and http://d?…'],
  ])('leaves no password and no token of a URL: %s', (text, told) => {
    expect(redacted(text)).toBe(told);
  });

  it.each([
    ['http://host:50055', 'http://host:50055'],
    ['http://[::1]:50055/', 'http://[::1]:50055/'],
    ['http://user:pw@host:50055', 'http://…@host:50055'],
    ['http://user:p w@host:50055', 'http://…@host:50055'],
    ['http://user:p/w#?@host:50055', 'http://…@host:50055'],
    ['user:pw@host:50055', '…@host:50055'],
    ['http://host:50055?token=secret', 'http://host:50055?…'],
  ])('tells an endpoint without its secrets, also where it is none: %s', (endpoint, told) => {
    expect(publicEndpoint(endpoint)).toBe(told);
  });

  it('cuts what is longer than a line', () => {
    const said = redacted('word '.repeat(10_000));
    expect(said).toHaveLength(1_000);
    expect(said.endsWith('…')).toBe(true);
  });

  it('finds a hash between words that are joined to it', () => {
    const hash = createHash('sha256').update(randomBytes(8)).digest('hex');
    expect(redacted(`key=${hash}`)).not.toContain(hash.slice(9, 20));
  });
});
