/** What the status command prints, once or again and again. */
import { setTimeout as pause } from 'node:timers/promises';
import type { WriteStream } from 'node:tty';
import { createLogUpdate } from 'log-update';
import { stateOf } from '../../../machines/index.ts';
import { textOf } from '../../bounded-input.ts';
import { errorText } from '../../error-text.ts';
import { type FeedStatus, statusFrom } from '../../feed/source.ts';
import { EXIT_NOT_CONNECTED } from '../exit-status.ts';
import { interruptSignal } from '../interrupt-signal.ts';
import { statusText } from '../output/status-table.ts';
import { print, visibleLines } from '../output/terminal.ts';

const EXIT_FAILED = 1;
const ANSWER_TIMEOUT_MS = 3_000;
const WATCH_INTERVAL_MS = 500;
/** Room for thousands of machines. */
const MAX_ANSWER_BYTES = 4 << 20;

export async function printStatus(where: string, isJson: boolean): Promise<void> {
  const status = await statusAt(where);
  print(process.stdout, isJson ? JSON.stringify(status) : statusText(status, process.stdout.columns));
  process.exitCode = exitCodeOf(status);
}

export async function watchStatus(where: string, isJson: boolean): Promise<void> {
  const signal = interruptSignal();
  const show = screenFor(process.stdout, isJson);
  while (!signal.aborted) {
    try {
      const status = await statusAt(where);
      show(isJson ? JSON.stringify(status) : statusText(status, process.stdout.columns), comparedOf(status));
      process.exitCode = exitCodeOf(status);
    } catch (error) {
      const complaint = errorText(error);
      show(isJson ? JSON.stringify({ error: complaint }) : complaint, complaint);
      process.exitCode = EXIT_FAILED;
    }
    await pause(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
}

/** On a terminal one text that is replaced; elsewhere, and for JSON, texts one after another where something changed. */
export function screenFor(stream: WriteStream, isJson: boolean): (text: string, compared: string) => void {
  if (stream.isTTY && !isJson) {
    const show = createLogUpdate(stream, { showCursor: true });
    return (text) => show(visibleLines(text));
  }
  let last = '';
  return (text, compared) => {
    if (compared !== last) print(stream, text);
    last = compared;
  };
}

/** What differs when a person would want to look again; the counts of a cache change all the time. */
function comparedOf({ machines, server }: FeedStatus): string {
  return JSON.stringify([machines, server]);
}

function exitCodeOf({ machines }: FeedStatus): number {
  const isConnected = machines.length > 0 && machines.every(({ state }) => stateOf(state) === 'connected');
  return isConnected ? 0 : EXIT_NOT_CONNECTED;
}

async function statusAt(where: string): Promise<FeedStatus> {
  const url = `http://${where}/status`;
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new Error(`${where} is not reachable: ${errorText(cause)}`);
  }
  const status = statusFrom(await answerOf(response).catch(() => null));
  if (status === null) throw new Error(`what answers at ${where} is no feed of connectors`);
  return status;
}

async function answerOf(response: Response): Promise<unknown> {
  return response.body === null ? null : JSON.parse(await textOf(response.body, MAX_ANSWER_BYTES));
}
