import { expect, test } from 'vitest';
import { EngineProcess } from '../../../support/engine-process.ts';
import { ask } from '../../../support/http-reply.ts';
import { own } from '../../../support/own.ts';
import { describeHttpPort } from './describe-http-port.ts';

const startEngine = async () => own(await EngineProcess.start());

for (const version of ['0.25.1', '0.24.6']) {
  describeHttpPort(`the embedded engine as ${version}`, version, () => EngineProcess.start({ version }));
}

test.each([
  ['a page of another site', { origin: 'http://evil.example' }],
  ['a page at another port of this host', { origin: 'http://127.0.0.1:8000' }],
  ['a page whose name was made to point here', { host: 'evil.example', origin: 'http://evil.example' }],
  ['a page in a sandboxed frame', { origin: 'null' }],
])('%s changes nothing', async (_, headers) => {
  const { httpAddress } = await startEngine();
  for (const [method, path] of [
    ['POST', '/instances/cleanup'],
    ['POST', '/cache/memory/cleanup'],
    ['POST', '/faults'],
    ['DELETE', '/faults'],
  ] as const) {
    const { status, body } = await ask(httpAddress, method, path, headers);
    expect([status, body], path).toEqual([403, expect.stringMatching(/^(this is not its name|not for the pages)/)]);
  }
  expect(await ask(httpAddress, 'GET', '/health', headers)).toMatchObject({ status: 200 });
});

test('whoever is no browser changes things by an address, by localhost and by the name it listens on', async () => {
  const { httpAddress } = await startEngine();
  const [, port] = httpAddress.split(':');
  for (const host of [httpAddress, '127.0.0.1', `localhost:${port}`, `10.1.2.3:${port}`, `[::1]:${port}`]) {
    expect(await ask(httpAddress, 'POST', '/instances/cleanup', { host }), host).toMatchObject({ status: 200 });
  }
});
