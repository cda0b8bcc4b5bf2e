import { expect, test } from 'vitest';
import { Clients } from '../../../../src/demo/workload/clients.ts';
import type { DemoRequest, Workload } from '../../../../src/demo/workload/workload.ts';

function* immediately(): Workload {
  for (let number = 0; ; number += 1) {
    yield { requestId: `${number}`, arrivalMs: 0, blockHashes: [1, 2, 3].map((byte) => new Uint8Array([byte])) };
  }
}

function* inAnHour(): Workload {
  for (;;) yield { requestId: 'late', arrivalMs: 3_600_000, blockHashes: [] };
}

function clientsOf(workload: Workload) {
  const sent: DemoRequest[] = [];
  const clients = new Clients({ workload, concurrency: 2, maxBlocks: 2, send: (request) => sent.push(request) });
  return { clients, sent };
}

test('clients keep a number of requests in flight until they are closed', () => {
  const { clients, sent } = clientsOf(immediately());
  expect(sent.map(({ requestId }) => requestId)).toEqual(['0', '1']);
  clients.answered();
  expect(sent).toHaveLength(3);
  clients.close();
  clients.answered();
  expect(sent).toHaveLength(3);
});

test('clients cut a prompt that is too long', () => {
  const { clients, sent } = clientsOf(immediately());
  clients.close();
  expect(sent[0]?.blockHashes).toHaveLength(2);
});

test('clients do not send what is not due', () => {
  const { clients, sent } = clientsOf(inAnHour());
  clients.close();
  expect(sent).toEqual([]);
});
