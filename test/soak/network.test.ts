import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../src/demo/server/free-port.ts';
import { within } from '../support/within.ts';
import { CLEAR, FaultyNetwork } from './network.ts';

const BUDGET_MS = 10_000;

let server: Server;
let network: FaultyNetwork;
let client: Socket;
let port: number;

beforeEach(async () => {
  server = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = await freePort();
  network = await FaultyNetwork.start(port, (server.address() as AddressInfo).port);
  client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  await once(client, 'connect');
});

afterEach(async () => {
  network.set(CLEAR);
  client.destroy();
  network.refuse();
  server.close();
  await once(server, 'close');
});

async function echoed(text: string): Promise<string> {
  let answer = '';
  const collect = (chunk: Buffer) => {
    answer += chunk;
  };
  client.on('data', collect);
  client.write(text);
  while (answer.length < text.length) await within(BUDGET_MS, 'the echo', once(client, 'data'));
  client.off('data', collect);
  return answer;
}

describe('the faulty network', () => {
  test.each([
    ['clear', CLEAR],
    ['slow', { ...CLEAR, delayMs: 5, jitterMs: 20 }],
    ['sliced', { ...CLEAR, sliceBytes: 3 }],
  ])('%s, it passes every byte in order', async (_, condition) => {
    network.set(condition);
    const text = Array.from({ length: 500 }, (_, index) => `${index},`).join('');
    expect(await echoed(text)).toBe(text);
  });

  test('slow, it passes nothing before its delay', async () => {
    network.set({ ...CLEAR, delayMs: 60 });
    const startedAtMs = performance.now();
    await echoed('a');
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(119);
  });

  test.each(['toServer', 'toClient'] as const)(
    'a blackhole %s keeps what was sent until it is lifted',
    async (direction) => {
      network.set({ ...CLEAR, blackhole: [direction] });
      let isEchoed = false;
      const echo = echoed('a').then((text) => {
        isEchoed = true;
        return text;
      });
      // Round trips past the network take their time after it: what passes would have come meanwhile.
      const direct = connect((server.address() as AddressInfo).port, '127.0.0.1');
      for (let trip = 0; trip < 20; trip += 1) {
        direct.write('b');
        await once(direct, 'data');
      }
      direct.destroy();
      expect(isEchoed).toBe(false);
      network.set(CLEAR);
      expect(await echo).toBe('a');
    },
  );

  test.each([
    ['close', false],
    ['reset', true],
  ] as const)('cut by %s, connections end and new ones are accepted', async (how, isError) => {
    await echoed('a');
    const closed = new Promise<boolean>((resolve) => client.once('close', resolve));
    client.resume();
    network.cut(how, 1, Math.random);
    expect(await within(BUDGET_MS, 'the close', closed)).toBe(isError);
    client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    expect(await echoed('b')).toBe('b');
  });
});
