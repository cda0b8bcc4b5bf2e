import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { createEmulatedDriver } from '../../../native-bindings/emulated-device.ts';
import { LoadState } from '../../../native-bindings/load-state.ts';
import { RegisterContextRequestSchema } from '../../../src/gen/pegaflow/engine_pb.ts';
import { TestConnection, TestRank } from '../../support/engine-rank.ts';
import { missing } from '../../support/missing.ts';
import { atEnd, own } from '../../support/own.ts';
import { startEngine } from '../../support/story.ts';
import { eventually } from '../../support/within.ts';

const PYTHON = '/usr/bin/python3';
const reason = missing('python3-grpcio', spawnSync(PYTHON, ['-c', 'import grpc']).status === 0);
const script = fileURLToPath(new URL('../../support/engine_client.py', import.meta.url));

const okStatus = '0a020801';

test('the C-core client registers, saves, queries, loads and unregisters', async ({ skip }) => {
  if (reason) skip(reason);
  const engine = await startEngine({ faults: { methods: { rdmaHandshake: { hang: true } } } });
  const connection = own(new TestConnection(`http://${engine.grpcAddress}`));
  const rank = own(new TestRank(connection.client, createEmulatedDriver()));
  const state = own(LoadState.create());
  rank.fill(0, 8);
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-interop-'));
  atEnd(() => rmSync(folder, { recursive: true }));
  const registerPath = join(folder, 'register.bin');
  const registration = create(RegisterContextRequestSchema, rank.registration());
  writeFileSync(registerPath, toBinary(RegisterContextRequestSchema, registration));
  const args = [script, engine.grpcAddress, registerPath, rank.instanceId, state.name];
  const { stdout } = await promisify(execFile)(PYTHON, args, { timeout: 20_000 });
  expect(JSON.parse(stdout)).toEqual({
    health: okStatus,
    register: okStatus,
    registerTwice: [
      'INTERNAL',
      `register tensor failed: context ${rank.instanceId}:tp0:pp0:dev0 is already registered`,
    ],
    save: okStatus,
    queryHead: '121408011210',
    load: okStatus,
    releaseUsed: ['FAILED_PRECONDITION', 'query lease is unknown or expired'],
    unknownInstance: ['FAILED_PRECONDITION', 'instance nobody not found'],
    noReqId: ['INVALID_ARGUMENT', 'req_id must not be empty'],
    late: expect.toBeOneOf(['CANCELLED', 'DEADLINE_EXCEEDED']),
    unregister: okStatus,
  });
  expect(await eventually('the load to end', () => state.state() || null)).toBe(1);
  expect(rank.holds(5, 8)).toBe(true);
  await engine.logged('running cleanup');
});
