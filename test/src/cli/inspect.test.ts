import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConnectorFeed } from '../../../src/feed/connector-feed.ts';
import { type CommandProcess, startCommand } from '../../stories/demo-process.ts';
import { atEnd } from '../../support/own.ts';
import { readFeed } from '../feed/http/sse.ts';
import { flapping, MACHINE, seen, transition } from '../feed/records.ts';

function start(...args: string[]): CommandProcess {
  const command = startCommand('inspect', ...args);
  atEnd(async () => {
    command.child.kill('SIGKILL');
    await command.ended;
  });
  return command;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pegaflow-inspect-'));
  atEnd(() => rmSync(path, { recursive: true }));
  return path;
}

/** Where the page is served, without the slash. */
async function pageOf(command: CommandProcess): Promise<string> {
  return (await command.line(/^page: /)).slice('page: '.length).replace(/\/$/, '');
}

describe('the inspect command', () => {
  test('shows a recording until it is interrupted', async () => {
    const path = join(folder(), 'recording.jsonl');
    const feed = new ConnectorFeed();
    await feed.record(path);
    for (const record of [seen(), ...flapping(3)]) feed.accept(record);
    await feed.close();
    const command = start('--open', path);
    const reader = await readFeed(await pageOf(command));
    await reader.until('the last record', ({ atMs }) => atMs === 3);
    expect(reader.header.isLive).toBe(false);
    expect(reader.records).toEqual([seen(), ...flapping(3)]);
    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('shows several connectors as one, goes on when one was restarted, and records what it shows', async () => {
    const path = join(folder(), 'recording.jsonl');
    const scheduler = new ConnectorFeed();
    const rank = new ConnectorFeed();
    const ports = [(await scheduler.listen()).port, (await rank.listen()).port];
    atEnd(() => rank.close());
    scheduler.accept(seen());
    rank.accept(seen({ atMs: 1, machine: 'replica/rank 0', kind: 'worker', rank: 0 }));
    const addresses = ports.map((port) => `127.0.0.1:${port}`);
    const command = start('--attach', addresses[0]!, '--attach', `http://${addresses[1]}/`, '--record', path);
    const reader = await readFeed(await pageOf(command));
    await reader.until('the rank', ({ atMs }) => atMs === 1);
    await scheduler.close();
    await command.line(/not attached, trying again/);
    await reader.until('the loss', ({ type }) => type === 'gone');
    const successor = new ConnectorFeed();
    atEnd(() => successor.close());
    await successor.listen({ port: ports[0]! });
    successor.accept(seen({ atMs: 2, pid: 2 }));
    await reader.until('its successor', ({ atMs }) => atMs === 2);
    successor.accept(transition(3, 'reconnecting.dialing', 'connected'));
    await reader.until('its step', ({ atMs }) => atMs === 3);
    command.child.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 0 });
    const [, ...records] = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(records.map((line) => JSON.parse(line))).toEqual(reader.records);
    expect(reader.records.map(({ type }) => type)).toEqual(['machine', 'machine', 'gone', 'machine', 'transition']);
    expect(reader.records[2]).toMatchObject({ machine: MACHINE });
  });

  test('says in one line that its port is in use, and leaves a recording alone', async () => {
    const path = join(folder(), 'recording.jsonl');
    const feed = new ConnectorFeed();
    await feed.record(path);
    await feed.close();
    const holder = createServer().listen(0, '127.0.0.1');
    atEnd(() => holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const recorded = readFileSync(path, 'utf8');
    for (const args of [
      ['--open', path],
      ['--attach', '127.0.0.1:1', '--record', path],
    ]) {
      const { code, stderr } = await start(...args, '--port', `${port}`).ended;
      expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^error: .*127.0.0.1:${port}\n$`))]);
    }
    expect(readFileSync(path, 'utf8')).toBe(recorded);
  });

  test('says in one line which line of a recording is none', async () => {
    const path = join(folder(), 'recording.jsonl');
    writeFileSync(
      path,
      '{"type":"header","version":1}\n{"type":"gone","atMs":1,"machine":"replica/scheduler"}\nnothing\n',
    );
    const { code, stdout, stderr } = await start('--open', path).ended;
    expect([code, stdout, stderr]).toEqual([2, '', `error: ${path}:3: not JSON\n`]);
  });

  test.each<[string[], RegExp]>([
    [[], /either --attach or --open is needed/],
    [['--open', 'a', '--attach', 'b:1'], /--attach and --open exclude each other/],
    [['--open', 'a', '--record', 'b'], /--record needs --attach/],
    [['--attach', '127.0.0.1:1,nowhere'], /Expected host:port/],
    [['--open', '/nowhere/recording.jsonl'], /cannot read the recording: .*\/nowhere\/recording.jsonl/],
    [['--attach', '127.0.0.1:1', '--record', '/nowhere/recording.jsonl'], /cannot write the recording/],
    [['--open', 'a', '--port', '70000'], /Expected a whole number from 0 to 65535/],
  ])('refuses %j in one line', async (args, complaint) => {
    const { code, stdout, stderr } = await start(...args).ended;
    expect(stderr).toMatch(complaint);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([code, stdout]).toEqual([2, '']);
  });
});
