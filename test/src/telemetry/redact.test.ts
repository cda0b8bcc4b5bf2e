import { randomBytes, randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { redacted } from '../../../src/telemetry/redact.ts';

it('shows of a hash, a lease or a handle a short prefix alone, however it is written', () => {
  const hash = randomBytes(32).toString('hex');
  const lease = randomUUID();
  const text = redacted(`block ${hash} of lease ${lease} (${hash.toUpperCase()})`, 'none');
  expect(text).toBe(`block ${hash.slice(0, 8)}… of lease ${lease.slice(0, 8)}… (${hash.slice(0, 8).toUpperCase()}…)`);
});

it('leaves our own instance id, addresses and words as they are', () => {
  const own = `replica-${randomUUID()}`;
  const text = `http://127.0.0.1:50055: instance ${own} not found: RegisterContextBatch is not answered in 1000000000 ms`;
  expect(redacted(text, own)).toBe(text);
});
