/**
 * Traces in the Mooncake format: one JSON object a line with `timestamp` (ms), `input_length` and `output_length`
 * (tokens) and `hash_ids`, one id per 512 tokens of the prompt; equal ids mean an equal prefix up to there.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { InputTooLargeError, LineCutter } from '../../bounded-input.ts';
import { errorText } from '../../error-text.ts';
import { UsageError } from '../../usage-error.ts';
import { chainHashes } from './hashing.ts';
import type { DemoRequest } from './workload.ts';

/** Tokens that one `hash_ids` entry stands for. */
const TOKENS_PER_TRACE_ID = 512;

const CHUNK_BYTES = 1 << 16;

export interface TraceLine {
  readonly timestampMs: number;
  readonly inputTokens: number;
  readonly hashIds: readonly number[];
}

export interface TraceScale {
  /** How many times faster than recorded the requests arrive. */
  readonly timeScale: number;
  /** Blocks that one id becomes: 32 is the real number for blocks of 16 tokens, 1 the smallest. */
  readonly blocksPerId: number;
}

/** Reads a whole trace. A file that cannot be read or a line that is not valid is a {@link UsageError} naming it. */
export function readTrace(path: string): TraceLine[] {
  const lines: TraceLine[] = [];
  let lineNumber = 0;
  for (const text of linesAt(path)) {
    lineNumber += 1;
    if (text.trim() === '') continue;
    const line = parseTraceLine(text, lines.at(-1)?.timestampMs ?? 0);
    if (typeof line === 'string') throw new UsageError(`${path}:${lineNumber}: ${line}`);
    lines.push(line);
  }
  if (lines.length === 0) throw new UsageError(`${path}: the trace holds no request`);
  return lines;
}

/** The requests of a trace, endlessly: after the last line the same prompts arrive again. */
export function* traceWorkload(lines: readonly TraceLine[], scale: TraceScale): Generator<DemoRequest, never> {
  const firstMs = lines[0]?.timestampMs ?? 0;
  const lastMs = lines.at(-1)?.timestampMs ?? 0;
  const meanGapMs = Math.max(1, (lastMs - firstMs) / lines.length);
  for (let round = 0; ; round += 1) {
    const roundStartMs = round * (lastMs - firstMs + meanGapMs) - firstMs;
    for (const [index, line] of lines.entries()) {
      yield {
        requestId: `trace-${round * lines.length + index}`,
        arrivalMs: (roundStartMs + line.timestampMs) / scale.timeScale,
        blockHashes: traceBlockHashes(line, scale.blocksPerId),
      };
    }
  }
}

/** Full blocks of one line: the last id stands for what is left of the prompt, and only its full blocks count. */
function traceBlockHashes(line: TraceLine, blocksPerId: number): Uint8Array[] {
  const fullBlocks = Math.floor((line.inputTokens * blocksPerId) / TOKENS_PER_TRACE_ID);
  const parts = line.hashIds.flatMap((id) => Array.from({ length: blocksPerId }, (_, part) => [id, part]));
  return chainHashes(parts.slice(0, fullBlocks).flat(), 2);
}

function* linesAt(path: string): Generator<string, void> {
  let lineNumber = 1;
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const cutter = new LineCutter();
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let sizeBytes = readSync(file, chunk); sizeBytes > 0; sizeBytes = readSync(file, chunk)) {
      for (const line of cutter.take(chunk.slice(0, sizeBytes))) {
        yield line;
        lineNumber += 1;
      }
    }
    yield cutter.end();
  } catch (error) {
    if (error instanceof InputTooLargeError) throw new UsageError(`${path}:${lineNumber}: ${error.message}`);
    throw new UsageError(`cannot read the trace: ${errorText(error)}`);
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** The line, or what is wrong with it. It must not be earlier than the one before. */
function parseTraceLine(text: string, earliestMs: number): TraceLine | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not a JSON object';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object';
  const { timestamp, input_length, output_length, hash_ids } = value as Readonly<Record<string, unknown>>;
  if (!isWhole(timestamp)) return '"timestamp" must be a whole number of milliseconds';
  if (timestamp < earliestMs) return `"timestamp" ${timestamp} is before the line above (${earliestMs})`;
  if (!isWhole(input_length) || input_length === 0) return '"input_length" must be a positive whole number of tokens';
  if (!isWhole(output_length)) return '"output_length" must be a whole number of tokens';
  if (!Array.isArray(hash_ids)) return '"hash_ids" must be a list of whole numbers';
  const hashIds: unknown[] = hash_ids;
  if (!hashIds.every(isId)) return '"hash_ids" must be a list of whole numbers below 2^32';
  const expected = Math.ceil(input_length / TOKENS_PER_TRACE_ID);
  if (hashIds.length !== expected) {
    return `"hash_ids" has ${hashIds.length} entries; ${input_length} tokens are ${expected} of ${TOKENS_PER_TRACE_ID}`;
  }
  return { timestampMs: timestamp, inputTokens: input_length, hashIds };
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isId(value: unknown): value is number {
  return isWhole(value) && value < 2 ** 32;
}
