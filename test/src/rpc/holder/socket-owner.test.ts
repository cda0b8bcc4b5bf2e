import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { holderOf } from '../../../../src/rpc/holder/open-sockets.ts';
import { acceptedInode, pidOfSocket } from '../../../../src/rpc/holder/socket-owner.ts';
import { inodesOfRows } from '../../../../src/rpc/holder/socket-table.ts';
import { computedAtATimeMs } from '../../../support/computed-at-a-time.ts';
import { atEnd } from '../../../support/own.ts';
import { within } from '../../../support/within.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sockets-'));
  atEnd(() => rmSync(path, { recursive: true }));
  return path;
}

/** A row as the kernel prints it: 150 bytes with its end. */
function row(index: number, text: string, inode: number): string {
  const said = `${String(index).padStart(4)}: ${text} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0`;
  return `${said.padEnd(149)}\n`;
}

const hex = (value: number, letters: number) => value.toString(16).toUpperCase().padStart(letters, '0');
const connection = (index: number) => `0100007F:C350 ${hex(index, 8)}:${hex(index % 65_536, 4)} 01`;

function tableOf(rows: number): string {
  const path = join(folder(), 'tcp');
  const head = `${'  sl  local_address rem_address   st'.padEnd(149)}\n`;
  writeFileSync(
    path,
    head + Array.from({ length: rows }, (_, index) => row(index, connection(index), index + 1)).join(''),
  );
  return path;
}

describe('the sockets of a large host', () => {
  it('are searched without a stop of the event loop, however many there are', async () => {
    const path = tableOf(200_000);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 0);
    atEnd(() => clearInterval(timer));
    expect(await inodesOfRows([` ${connection(199_999)} `], [path])).toEqual(['200000']);
    // Of some 60 ms that it takes here: timers have their turns in between.
    expect(turns).toBeGreaterThan(5);
  }, 60_000);

  it('are found wherever their rows lie, also across the pieces that are read', async () => {
    const path = tableOf(3_000);
    const indices = Array.from({ length: 3_000 }, (_, index) => index);
    const found = await Promise.all(indices.map((index) => inodesOfRows([` ${connection(index)} `], [path])));
    expect(found).toEqual(indices.map((index) => [String(index + 1)]));
    expect(await inodesOfRows([' 0100007F:C350 '], [path])).toHaveLength(3_000);
    expect(await inodesOfRows([' 0100007F:C351 '], [path])).toEqual([]);
    expect(await inodesOfRows(['01'], ['/nowhere/tcp'])).toEqual([]);
  }, 60_000);

  it('are looked for anew for those who ask while a pass is under way', async () => {
    const path = tableOf(2_000);
    const first = inodesOfRows([` ${connection(7)} `], [path]);
    await Promise.resolve();
    writeFileSync(path, row(0, 'A:1 B:2 01', 77), { flag: 'a' });
    expect(await inodesOfRows([' A:1 B:2 '], [path])).toEqual(['77']);
    expect(await first).toEqual(['8']);
  });
});

describe('the holder of a socket', () => {
  it('is found behind 15,000 descriptors of its own, without a stop of the event loop', async () => {
    const script = new URL('../../../support/descriptor-hoard.ts', import.meta.url).pathname;
    const hoard = ['-c', 'ulimit -n 16000; exec "$@"', 'sh', process.execPath, script, '15000'];
    const child = spawn('/bin/sh', hoard, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    atEnd(() => child.kill('SIGKILL'));
    const [port] = (await within(30_000, 'the hoard', once(child, 'message'))) as [number];
    const accepted = once(child, 'message');
    const socket = connect(port, '127.0.0.1');
    atEnd(() => socket.destroy());
    await accepted;
    const { localAddress = '', localPort = 0 } = socket;
    const ends = { localAddress, localPort, remoteAddress: '127.0.0.1', remotePort: port };
    const inode = await acceptedInode(ends);
    const longestMs = computedAtATimeMs();
    expect(await pidOfSocket(inode!, null)).toBe(child.pid);
    expect(longestMs()).toBeLessThan(150);
  }, 60_000);

  it('is found among thousands of processes, without a stop of the event loop', async () => {
    const root = folder();
    for (let pid = 1; pid <= 1_500; pid += 1) {
      mkdirSync(join(root, String(pid), 'fd'), { recursive: true });
      for (let fd = 0; fd < 4; fd += 1)
        symlinkSync(`socket:[${pid * 10 + fd}]`, join(root, String(pid), 'fd', String(fd)));
    }
    mkdirSync(join(root, 'sys'));
    const longestMs = computedAtATimeMs();
    expect(await holderOf('12003', null, root)).toBe(1_200);
    expect(await holderOf('12003', 7, root)).toBe(1_200);
    expect(await holderOf('1200', null, root)).toBe(120);
    expect(await holderOf('5', null, root)).toBeNull();
    expect(longestMs()).toBeLessThan(150);
  }, 60_000);
});
