import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  createEmulatedDriver,
  LoadState,
  sweepLoadRecords,
  sweepSharedMemory,
  TorchRefCounters,
  watchProcessExit,
} from '../../native-bindings/index.ts';
import { Peer } from './peer.ts';
import { shmObjects, shmObjectsOf } from './shm-objects.ts';
import { childNobodyCollects } from './uncollected-child.ts';

const STAMP_OFFSET = 24;
const NAMESPACE_BIT = 1n << 22n;
const START_BIT = 1n << 44n;

let leftNames: string[] = [];

/** A load-state record with this stamp, as another process would have left it. */
const leftRecord = (stamp: bigint): string => {
  const name = `pega_load_${randomUUID().replaceAll('-', '')}`;
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(stamp, STAMP_OFFSET);
  writeFileSync(`/dev/shm/${name}`, bytes);
  leftNames.push(name);
  return name;
};

const ownStamp = (): bigint => {
  const record = LoadState.create();
  const stamp = readFileSync(`/dev/shm/${record.name}`).readBigUInt64LE(STAMP_OFFSET);
  record[Symbol.dispose]();
  return stamp;
};

/** The stamp of another process in our PID namespace. */
const stampFrom = (pid: number, startTicks: bigint): bigint => {
  const ownNamespace = BigInt.asUintN(44, ownStamp()) & ~(NAMESPACE_BIT - 1n);
  return BigInt.asUintN(64, BigInt(pid) | ownNamespace | (startTicks * START_BIT));
};

/** A demo that another test starts sweeps too: what is asked is what is left, not who removed it. */
describe('sweepSharedMemory', { timeout: 30_000 }, () => {
  let peers: Peer[] = [];

  const startPeer = (): Peer => {
    const peer = new Peer('emulated');
    peers.push(peer);
    return peer;
  };

  afterEach(async () => {
    for (const name of leftNames) rmSync(`/dev/shm/${name}`, { force: true });
    leftNames = [];
    await Promise.all(peers.map((peer) => peer.stop()));
    expect([process.pid, ...peers.map(({ pid }) => pid)].flatMap(shmObjectsOf)).toEqual([]);
    peers = [];
  });

  test('what a killed process left is removed, and what was removed is named', async () => {
    const peer = startPeer();
    await peer.allocate(0, 16);
    const record = await peer.createLoadState();
    await peer.kill();
    const before = shmObjects();
    const removed = sweepSharedMemory();
    expect(before).toEqual(expect.arrayContaining(removed));
    expect(shmObjects().filter((name) => removed.includes(name))).toEqual([]);
    expect(shmObjectsOf(peer.pid)).toEqual([]);
    expect(shmObjects()).not.toContain(record);
  });

  test('what living processes hold stays', async () => {
    const peer = startPeer();
    await peer.allocate(0, 16);
    await peer.createLoadState();
    const memory = createEmulatedDriver().allocate(0, 16);
    const record = LoadState.create();
    const living = [...shmObjectsOf(peer.pid), ...shmObjectsOf(process.pid)];
    expect(living).toHaveLength(4);
    expect(sweepSharedMemory().filter((name) => living.includes(name))).toEqual([]);
    expect(shmObjects()).toEqual(expect.arrayContaining(living));
    record[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  test('a record whose process had our pid before us is removed', () => {
    const name = leftRecord(ownStamp() ^ START_BIT);
    sweepSharedMemory();
    expect(shmObjects()).not.toContain(name);
  });

  test('a record of a killed process that its parent has not collected is removed', async () => {
    const pid = await childNobodyCollects();
    const startTicks = BigInt(readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')[21] ?? '');
    const name = leftRecord(stampFrom(pid, startTicks));
    expect(sweepSharedMemory()).not.toContain(name);
    process.kill(pid, 'SIGKILL');
    await watchProcessExit(pid).exited;
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /);
    sweepSharedMemory();
    expect(shmObjects()).not.toContain(name);
  });

  test('a record of a living process stays, however the process is called', () => {
    const directory = mkdtempSync(join(tmpdir(), 'pegaflow-test-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const program = join(directory, 'a) Z 1 (b');
    symlinkSync('/bin/sleep', program);
    const child = spawn(program, ['60'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    const name = leftRecord(stampFrom(child.pid ?? 0, BigInt(fields[19] ?? '')));
    expect(sweepSharedMemory()).not.toContain(name);
  });

  test('a record from another PID namespace stays, because its process cannot be seen from here', () => {
    const name = leftRecord(ownStamp() ^ START_BIT ^ NAMESPACE_BIT);
    expect(sweepSharedMemory()).not.toContain(name);
    expect(shmObjects()).toContain(name);
  });

  test("a file of reference counters goes with its process, and torch's own stay", () => {
    const nameWith = (middle: string): string => {
      const name = `torch_${process.pid}_${middle}_1`;
      writeFileSync(`/dev/shm/${name}`, '');
      leftNames.push(name);
      return name;
    };
    const left = nameWith((ownStamp() ^ START_BIT).toString(16).padStart(16, '0'));
    const ofTorch = nameWith('1234567890');
    const counters = TorchRefCounters.create();
    sweepSharedMemory();
    expect(shmObjects()).not.toContain(left);
    expect(shmObjects()).toContain(ofTorch);
    expect(shmObjects()).toContain(new TextDecoder().decode(counters.file).slice(1));
    counters[Symbol.dispose]();
  });

  test('records of loads are swept beside other work, but not those that a server may be about to open', async () => {
    const [old, young, ofTheLiving, foreign] = [ownStamp() ^ START_BIT, ownStamp() ^ START_BIT, ownStamp(), 0n].map(
      leftRecord,
    );
    for (const name of [old!, ofTheLiving!, foreign!]) {
      utimesSync(`/dev/shm/${name}`, Date.now() / 1_000, Date.now() / 1_000 - 31);
    }
    await sweepLoadRecords();
    expect(shmObjects()).not.toContain(old);
    expect(shmObjects()).toEqual(expect.arrayContaining([young, ofTheLiving, foreign]));
  });

  test('a record by another implementation stays', () => {
    const name = leftRecord(0n);
    expect(sweepSharedMemory()).not.toContain(name);
    expect(shmObjects()).toContain(name);
  });
});
