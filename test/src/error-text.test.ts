import { describe, expect, it } from 'vitest';
import { errorText, isLocalFailure } from '../../src/error-text.ts';

const failed = (code: string, syscall: string, address = '127.0.0.1:50055') =>
  Object.assign(new Error(`${syscall} ${code} ${address}`), { code, syscall });

describe('what an error says', () => {
  it('is what each address of a name said', () => {
    const errors = [failed('ECONNREFUSED', 'connect', '::1:50055'), failed('ETIMEDOUT', 'connect')];
    const text = 'connect ECONNREFUSED ::1:50055; connect ETIMEDOUT 127.0.0.1:50055';
    expect(errorText(new AggregateError(errors))).toBe(text);
    expect(errorText(new AggregateError([new AggregateError(errors), errors[0]]))).toBe(text);
  });

  it('is never nothing', () => {
    expect(errorText(new AggregateError([]))).toBe('AggregateError');
    expect(errorText(Object.assign(new Error(), { code: 'EPIPE' }))).toBe('EPIPE');
    expect(errorText(undefined)).toBe('undefined');
  });

  it.each([
    ['EMFILE', 'connect', /^this process has no file descriptor left: raise its limit .* \(connect EMFILE/],
    ['EMFILE', 'open', /^this process has no file descriptor left/],
    ['ENFILE', 'socket', /^this host has no file descriptor left/],
    ['ENOBUFS', 'connect', /^this host has no memory left for sockets/],
    ['EADDRNOTAVAIL', 'connect', /^this host has no local address or port left/],
    ['EACCES', 'connect', /^this host does not let us connect/],
    ['EPERM', 'connect', /^this host does not let us connect/],
  ])('is for %s at %s that it is our own, and what to do', (code, syscall, text) => {
    const error = failed(code, syscall);
    expect(errorText(error)).toMatch(text);
    expect(isLocalFailure(error)).toBe(true);
    expect(isLocalFailure(new AggregateError([error, error]))).toBe(true);
    expect(isLocalFailure(new AggregateError([error, failed('ECONNREFUSED', 'connect')]))).toBe(false);
  });

  it.each([
    ['ECONNREFUSED', 'connect'],
    ['ECONNRESET', 'read'],
    ['EACCES', 'open'],
    ['EADDRNOTAVAIL', 'listen'],
  ])('is for %s at %s what it was', (code, syscall) => {
    const error = failed(code, syscall);
    expect([errorText(error), isLocalFailure(error)]).toEqual([error.message, false]);
  });
});
