/** What a run shows while it goes: on a terminal a live line per machine, elsewhere a plain line per event that matters. */

import type { WriteStream } from 'node:tty';
import { createLogUpdate } from 'log-update';
import { stateOf } from '../../../machines/index.ts';
import type { DemoEvent } from '../../demo/journal.ts';
import type { DemoObserver } from '../../demo/observer.ts';
import type { DemoOptions } from '../../demo/options.ts';
import type { Progress } from '../../demo/progress.ts';
import { wallTimeMs } from '../../wall-time.ts';
import { milliseconds, sizeText } from './numbers.ts';
import { printLine, visible } from './terminal.ts';

export interface ProgressView extends Omit<DemoObserver, 'fed'> {
  /** A line that stays. */
  note(text: string): void;
  /** Ends the live lines. */
  done(): void;
}

type Totals = Pick<DemoOptions, 'requests' | 'restarts' | 'servedBy'>;

const REDRAW_INTERVAL_MS = 100;

export function createProgressView(stream: WriteStream, totals: Totals): ProgressView {
  return stream.isTTY ? createLiveView(stream, totals) : createPlainView(stream, serverName(totals));
}

/** What is stopped and started, in a word. */
function serverName({ servedBy }: Totals): string {
  return servedBy.kind === 'engine' ? 'engine' : 'server';
}

function createPlainView(stream: NodeJS.WritableStream, server: string): ProgressView {
  const startedAtMs = wallTimeMs();
  let state = '';
  const note = (text: string) => {
    printLine(stream, `${((wallTimeMs() - startedAtMs) / 1_000).toFixed(3).padStart(8)} s  ${text}`);
  };
  return {
    note,
    event: (event) => {
      const before = state;
      if (event.type === 'status.changed' && event.machine === 'scheduler') state = stateOf(event.path);
      if (event.type === 'status.changed' && state === before) return;
      const text = lineOf(event, server);
      if (text !== null) note(text);
    },
    transition: (line) => printLine(stream, line),
    warning: (text) => note(`warning: ${text}`),
    done: () => {},
  };
}

/** What is worth a line where lines stay; `null` for the rest. */
function lineOf(event: DemoEvent, server: string): string | null {
  switch (event.type) {
    case 'engine.listening':
      return `${server} listening, pid ${event.pid}`;
    case 'engine.stopped':
      return `${server} stopped: ${event.kind}, back after ${event.outageMs} ms`;
    case 'status.changed':
      return event.machine === 'scheduler' ? `scheduler ${stateOf(event.path)}${reasonOf(event)}` : null;
    case 'blocks.verified':
      return event.wrongBytes === 0
        ? null
        : `rank ${event.rank}: ${event.wrongBytes} wrong bytes in ${event.requestId}`;
    case 'blocks.releasedUnsafely':
      return (
        `ERROR rank ${event.rank}: ${event.blockIds.length} blocks of the ${event.kind} of ${event.requestId} were handed ` +
        `back unsafely after ${milliseconds(event.ageMs)}: ${event.reason}`
      );
    default:
      return null;
  }
}

const STATES_WITH_A_REASON = ['degraded', 'reconnecting', 'incompatible'];

/** What a machine lacks, where it lacks something: an older fault explains nothing any more. */
function reasonOf({ path, fault }: { readonly path: string; readonly fault: string | null }): string {
  return fault !== null && STATES_WITH_A_REASON.includes(stateOf(path)) ? `  (${fault})` : '';
}

/** What a live view does not show otherwise. */
const LINES_THAT_STAY: readonly DemoEvent['type'][] = ['engine.stopped', 'blocks.releasedUnsafely'];

function createLiveView(stream: WriteStream, totals: Totals): ProgressView {
  const live = createLogUpdate(stream, { showCursor: true });
  const note = (text: string) => live.persist(visible(text));
  let shown: Progress | null = null;
  const draw = () => {
    if (shown !== null) live(linesOf(shown, totals).map(visible).join('\n'));
  };
  const timer = setInterval(draw, REDRAW_INTERVAL_MS);
  timer.unref();
  return {
    note,
    event: (event, progress) => {
      shown = progress;
      const text = LINES_THAT_STAY.includes(event.type) ? lineOf(event, serverName(totals)) : null;
      if (text !== null) note(text);
    },
    transition: note,
    warning: (text) => note(`warning: ${text}`),
    done: () => {
      clearInterval(timer);
      draw();
      live.done();
    },
  };
}

/** The scheduler, then the ranks. */
function orderOf(machine: string): number {
  return machine === 'scheduler' ? -1 : Number(machine.replace(/\D/g, ''));
}

const NAME_WIDTH = 10;

function linesOf(progress: Progress, totals: Totals): string[] {
  const { requests, restarts, servedBy } = totals;
  const nowMs = wallTimeMs();
  const byName = [...progress.machines].sort(([a], [b]) => orderOf(a) - orderOf(b));
  const machines = byName.map(([name, { path, sinceMs, fault }]) => {
    return `${name.padEnd(NAME_WIDTH)} ${stateOf(path)}  for ${milliseconds(nowMs - sinceMs)}${reasonOf({ path, fault })}`;
  });
  return [
    ...(servedBy.kind === 'endpoint' ? [] : [`${serverName(totals).padEnd(NAME_WIDTH)} ${progress.engine}`]),
    ...machines,
    `${'requests'.padEnd(NAME_WIDTH)} ${progress.finished}${requests === null ? '' : ` of ${requests}`}, ` +
      `${servedBy.kind === 'endpoint' ? '' : `restarts ${progress.restarts} of ${restarts}, `}` +
      `${progress.hitBlocks} blocks hit, ${sizeText(progress.verifiedBytes)} verified, ${progress.wrongBytes} wrong bytes`,
  ];
}
