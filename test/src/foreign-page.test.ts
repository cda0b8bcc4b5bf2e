import { describe, expect, it } from 'vitest';
import { foreignPage } from '../../src/foreign-page.ts';

describe('foreignPage', () => {
  it.each([
    ['curl by an address', { host: '127.0.0.1:9091' }],
    ['curl by localhost', { host: 'localhost:9091' }],
    ['curl by the name it listens on', { host: 'gpu-7.cluster:9091' }],
    ['HTTP/1.0 without a name', {}],
    ['its own page', { host: '[::1]:9123', origin: 'http://[::1]:9123' }],
    ['its own page behind a proxy that speaks TLS', { host: 'gpu-7.cluster', origin: 'https://gpu-7.cluster' }],
    ['its own page, at the usual port', { host: '10.0.0.7:80', origin: 'http://10.0.0.7' }],
  ])('lets %s through', (_, headers) => {
    expect(foreignPage(headers, 'GPU-7.cluster')).toBeNull();
  });

  it.each([
    ['a page whose name points here', { host: 'evil.example:9091', origin: 'http://evil.example:9091' }],
    ['a name that points here, without its page', { host: 'evil.example:9091' }],
    ['a name that begins like an address', { host: '127.0.0.1.evil.example' }],
    ['a page of another site that asks by the address', { host: '127.0.0.1:9091', origin: 'https://evil.example' }],
    ['a page at another port of this host', { host: '127.0.0.1:9091', origin: 'http://127.0.0.1:8000' }],
    ['a page in a sandboxed frame, or of a file', { host: '127.0.0.1:9091', origin: 'null' }],
    ['a page that sends no name', { origin: 'http://evil.example' }],
    ['what is no name', { host: '%' }],
  ])('tells %s', (_, headers) => {
    expect(foreignPage(headers, '127.0.0.1')).toMatch(/^(this is not its name|not for the pages)/);
  });
});
