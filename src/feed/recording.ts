/** Recordings: the header, then the records, each a line of JSON. */
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { InputTooLargeError, linesOf } from '../bounded-input.ts';
import { errorText } from '../error-text.ts';
import { History } from './history/history.ts';
import { type Encoding, pump } from './pump.ts';
import { FEED_VERSION, type FeedRecord, type Header } from './record.ts';
import { recordFrom } from './record-from.ts';
import { RecordingError } from './recording-error.ts';
import { type FeedSource, statusOf } from './source.ts';

export interface Recording {
  /** Settles when everything that was told is in the file and it is closed; rejects where that could not be done. */
  readonly written: Promise<void>;
}

const LINES: Encoding = { record: (record) => `${JSON.stringify(record)}\n`, caughtUp: '' };

/** Writes a feed to a new file until the feed ends. Rejects where there can be no such file. */
export async function recordFeed(source: FeedSource, path: string): Promise<Recording> {
  const file = createWriteStream(path);
  try {
    await once(file, 'open');
  } catch (error) {
    throw new RecordingError(`cannot write the recording: ${errorText(error)}`);
  }
  const header: Header = { ...(await source.header()), isLive: false };
  file.write(`${JSON.stringify(header)}\n`);
  const written = write(source, file, path);
  written.catch(() => {});
  return { written };
}

async function write(source: FeedSource, file: ReturnType<typeof createWriteStream>, path: string): Promise<void> {
  let failure: unknown = null;
  file.once('error', (error) => {
    failure = error;
  });
  const end = await pump(source.history, file, LINES);
  if (!file.destroyed) await new Promise((resolve) => file.end(resolve));
  if (failure !== null) throw new Error(`the recording was not written: ${errorText(failure)}`);
  if (end === 'fellBehind') throw new Error(`${path} is not whole: the disk was too slow`);
}

/** Reads a whole recording. Rejects with a {@link RecordingError} that names the line which is none. */
export async function readRecording(path: string): Promise<FeedSource> {
  let header: Header | null = null;
  const records: FeedRecord[] = [];
  // What follows the last line's end was cut off with the process that wrote it.
  for await (const line of linesAt(path)) {
    if (header === null) header = headerFrom(path, line);
    else records.push(recordFromLine(`${path}:${records.length + 2}`, line));
  }
  return sourceOf(header ?? headerFrom(path, ''), records);
}

function sourceOf(header: Header, records: readonly FeedRecord[]): FeedSource {
  const history = new History(Math.max(1, records.length));
  for (const record of records) history.push(record);
  return {
    history,
    header: async () => header,
    get status() {
      return statusOf(header, history, records.at(-1)?.atMs ?? header.startedAtMs);
    },
  };
}

async function* linesAt(path: string): AsyncGenerator<string, void> {
  let lineNumber = 1;
  try {
    for await (const line of linesOf(createReadStream(path))) {
      yield line;
      lineNumber += 1;
    }
  } catch (error) {
    if (error instanceof InputTooLargeError) throw new RecordingError(`${path}:${lineNumber}: ${error.message}`);
    throw new RecordingError(`cannot read the recording: ${errorText(error)}`);
  }
}

function headerFrom(path: string, line: string): Header {
  const value = jsonFrom(`${path}:1`, line);
  if (typeof value !== 'object' || value === null || !('type' in value) || value.type !== 'header') {
    throw new RecordingError(`${path}:1: not the header of a recording`);
  }
  const { version } = value as Partial<Header>;
  if (version !== FEED_VERSION) {
    throw new RecordingError(`${path}:1: a recording of version ${version}; this reads version ${FEED_VERSION}`);
  }
  return value as Header;
}

function recordFromLine(place: string, line: string): FeedRecord {
  const record = recordFrom(jsonFrom(place, line));
  if (record === null) throw new RecordingError(`${place}: not a record`);
  return record;
}

function jsonFrom(place: string, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new RecordingError(`${place}: not JSON`);
  }
}
