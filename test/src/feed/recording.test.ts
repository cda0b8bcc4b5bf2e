import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConnectorFeed } from '../../../src/feed/connector-feed.ts';
import { serveFeed } from '../../../src/feed/http/server.ts';
import type { FeedRecord } from '../../../src/feed/record.ts';
import { readRecording } from '../../../src/feed/recording.ts';
import { atEnd } from '../../support/own.ts';
import { readFeed } from './http/sse.ts';
import { flapping, seen } from './records.ts';

function file(name = 'recording.jsonl'): string {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-feed-'));
  atEnd(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}

async function recorded(path: string, records = [seen(), ...flapping(3)]): Promise<string[]> {
  const feed = new ConnectorFeed();
  await feed.record(path);
  for (const record of records) feed.accept(record);
  await feed.close();
  return readFileSync(path, 'utf8').trimEnd().split('\n');
}

async function keptIn(path: string): Promise<FeedRecord[]> {
  const { history } = await readRecording(path);
  return history.read(0, 10)?.map(({ record }) => record) ?? [];
}

describe('a recording', () => {
  test('is the header and the records, each a line, up to the last word', async () => {
    const [header, ...records] = (await recorded(file())).map((line) => JSON.parse(line));
    expect(header).toMatchObject({ type: 'header', version: 1, isLive: false });
    expect(records).toEqual([seen(), ...flapping(3)]);
  });

  test('has everything that was kept before it began', async () => {
    const path = file();
    const feed = new ConnectorFeed({ historyLimit: 2 });
    for (const record of [seen(), ...flapping(4)]) feed.accept(record);
    await feed.record(path);
    await feed.close();
    expect(await keptIn(path)).toEqual([seen({ atMs: 2, state: 'connected' }), ...flapping(4).slice(2)]);
  });

  test('is whole although thousands of records come in one turn of the event loop', async () => {
    expect(await recorded(file(), flapping(9_000))).toHaveLength(9_001);
  });

  test('that fell behind says so, and is no less JSON', async () => {
    const path = file();
    const feed = new ConnectorFeed({ historyLimit: 100 });
    await feed.record(path);
    for (const record of flapping(1_000)) feed.accept(record);
    await expect(feed.close()).rejects.toThrow(`${path} is not whole`);
  });

  test('is served as it was, without an end', async () => {
    const path = file();
    await recorded(path);
    const source = await readRecording(path);
    const server = await serveFeed(source);
    atEnd(() => server.close());
    const reader = await readFeed(server.url);
    await reader.until('the last record', ({ atMs }) => atMs === 3);
    expect(reader.header).toEqual(await source.header());
    expect(reader.header.isLive).toBe(false);
    expect(reader.records).toEqual([seen(), ...flapping(3)]);
    expect(source.status).toMatchObject({ atMs: 3, machines: [{ state: 'degraded' }] });
  });

  test('that was cut off amid a line is read up to it', async () => {
    const path = file();
    const text = (await recorded(path)).join('\n');
    writeFileSync(path, text.slice(0, -10));
    expect(await keptIn(path)).toEqual([seen(), ...flapping(2)]);
  });

  test('cannot be begun where there is no folder for it', async () => {
    const feed = new ConnectorFeed();
    await expect(feed.record('/nowhere/recording.jsonl')).rejects.toThrow(
      /^cannot write the recording: .*\/nowhere\/recording.jsonl/,
    );
  });

  test.each<[string, (lines: string[]) => string[], RegExp]>([
    ['nothing', () => [''], /:1: not JSON$/],
    ['another file', () => ['{"timestamp": 0}', '{}'], /:1: not the header of a recording$/],
    ['no header', ([, ...records]) => records, /:1: not the header of a recording$/],
    [
      'another version',
      ([, ...records]) => ['{"type":"header","version":7}', ...records],
      /:1: a recording of version 7; this reads version 1$/,
    ],
    ['a line that was cut', (lines) => [...lines.slice(0, -1), lines.at(-1)!.slice(0, 20)], /:5: not JSON$/],
    ['a line that is no record', ([header, first, ...rest]) => [header!, first!, '[1]', ...rest], /:3: not a record$/],
    ['an empty line', ([header, ...rest]) => [header!, '', ...rest], /:2: not JSON$/],
  ])('that holds %s is refused with its place', async (_, spoil, complaint) => {
    const path = file();
    const lines = await recorded(path);
    writeFileSync(path, `${spoil(lines).join('\n')}\n`);
    await expect(readRecording(path)).rejects.toThrow(complaint);
    await expect(readRecording(path)).rejects.toMatchObject({ name: 'RecordingError' });
  });

  test('with a line that does not end is refused before it fills the memory', async () => {
    const path = file();
    await recorded(path);
    const lineNumber = readFileSync(path, 'utf8').split('\n').length;
    // A hole: no byte of it is on the disk.
    truncateSync(path, 2 ** 33);
    await expect(readRecording(path)).rejects.toThrow(`${path}:${lineNumber}: a line of more than 1048576 bytes`);
  });

  test('that is not there is refused', async () => {
    await expect(readRecording('/nowhere/recording.jsonl')).rejects.toThrow(
      /^cannot read the recording: .*\/nowhere\/recording.jsonl/,
    );
  });
});
