import { describe, expect, it } from 'vitest';
import { budgetsFrom, budgetTable, schedulerMachine, workerMachine } from '../machines/index.ts';
import { ANSWER_MS } from '../scripts/budgets/page.ts';
import { longestMs, recoveries } from '../scripts/budgets/recovery.ts';
import { filesThatRead, waitingSources } from '../scripts/budgets/sources.ts';
import { budgetsOf } from '../scripts/statecharts/delay-names.ts';

const budgets = budgetsFrom();

/** Waits whose code names no budget itself: the budget comes from whoever made the thing. */
const HANDED_ON = [
  ['src/connector/scheduler/leases.ts', 'timeoutMs', ['releaseTimeoutMs']],
  ['src/connector/scheduler/server-death.ts', 'withinMs', ['settleMs']],
  ['src/connector/transfers/proof-seeker.ts', 'this.#restMs', ['proofRetryFirstMs', 'proofRetryMaxMs']],
  ['src/connector/transfers/proof-seeker.ts', 'delayMs', ['proofPollIntervalMs', 'registrationTurnPollMs']],
  ['src/connector/transfers/rank-transfers.ts', 'timeoutMs', ['stopTimeoutMs']],
  ['src/connector/transfers/transfer.ts', 'delayMs', ['transferStalledAfterMs', 'unsafeReleaseAfterMs']],
  ['src/connector/worker/fencing-command.ts', 'timeoutMs', ['fencingCommandTimeoutMs']],
  ['src/connector/worker/fencing.ts', 'this.#lookIntervalMs', ['fencingSilenceMs', 'fencingStuckMs']],
  ['src/rpc/holder/death-watch.ts', 'this.#options.settleMs', ['settleMs']],
  ['src/rpc/link.ts', 'this.#options.pingIntervalMs', ['pingIntervalMs']],
  ['src/rpc/link.ts', 'this.#options.pingTimeoutMs', ['pingTimeoutMs']],
  ['src/telemetry/logs/repeats.ts', 'this.#windowMs', ['logRepeatWindowMs']],
] as const;

describe('budgets', () => {
  it('every wait in the sources is a budget by name', () => {
    const sites = waitingSources().flatMap(({ file, text }) => delaysIn(text).map((delay) => ({ file, delay })));
    const unnamed = sites.filter(({ delay }) => !/[bB]udgets\.\w+Ms\b/.test(delay));
    expect(unnamed.map(({ file, delay }) => [file, delay])).toEqual(HANDED_ON.map(([file, delay]) => [file, delay]));
    expect(sites.length).toBeGreaterThan(unnamed.length);
    const partOf = (file: string) => file.split('/').slice(0, 2).join('/');
    for (const [file, , names] of HANDED_ON) {
      const givers = (name: string) => filesThatRead(name).filter((reader) => partOf(reader) === partOf(file));
      expect(names.filter((name) => givers(name).length === 0)).toEqual([]);
    }
  });

  it('every budget is read somewhere, and nothing reads one that is not in the table', () => {
    const unread = Object.keys(budgetTable).filter((name) => filesThatRead(name).length === 0);
    expect(unread).toEqual([]);
    const read = waitingSources().flatMap(({ text }) =>
      [...text.matchAll(/[bB]udgets\.(\w+Ms)\b/g)].map((match) => match[1]),
    );
    expect([...new Set(read)].filter((name) => !(name !== undefined && name in budgetTable))).toEqual([]);
  });

  it.each([schedulerMachine, workerMachine])('every delay of the $id machine is made of budgets', (machine) => {
    const delays = Object.keys(machine.implementations.delays);
    expect(delays.filter((delay) => budgetsOf(machine, delay).length === 0)).toEqual([]);
  });

  it('S-06 from a server that is ready to the next hit it takes less than 5 s after dropped SYNs, by the table', () => {
    const longest = Object.fromEntries(recoveries.map((each) => [each.name, longestMs(each, budgets, ANSWER_MS)]));
    expect(longest['plain restart']).toBeLessThanOrEqual(500);
    expect(longest['dropped SYNs']).toBeLessThan(5_000);
    expect(budgets.dialTimeoutMs).toBeLessThanOrEqual(budgets.quiesceTimeoutMs);
  });

  it('adds up what a recovery waits for', () => {
    const steps = [
      { what: 'a dial', answers: 2, waits: [] },
      { what: 'two waits', answers: 0, waits: ['dialTimeoutMs', 'redialMaxMs'] as const },
    ];
    expect(longestMs({ name: 'any', steps }, budgetsFrom({ dialTimeoutMs: 100, redialMaxMs: 7 }), 10)).toBe(127);
  });
});

/** The delay of every timer and the deadline of every call in a source, as it is written there. */
function delaysIn(text: string): string[] {
  const timers = [...text.matchAll(/\b(setTimeout|setInterval|AbortSignal\.timeout|ioFirstTimer)\(/g)].map(
    ({ index, 0: call, 1: timer }) =>
      argumentsAt(text, index + call.length).at(timer === 'ioFirstTimer' ? 0 : -1) ?? '',
  );
  const deadlines = [...text.matchAll(/\btimeoutMs: ([^,}\n]+)|\{ (timeoutMs) \}/g)].map(
    (match) => match[1] ?? match[2] ?? '',
  );
  return [...timers, ...deadlines].map((delay) => delay.trim()).filter((delay) => !delay.startsWith('number'));
}

/** The arguments of the call whose parenthesis opens just before `start`. */
function argumentsAt(text: string, start: number): string[] {
  const found: string[] = [];
  let depth = 0;
  let begin = start;
  for (let at = start; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (depth === 0 && (letter === ',' || letter === ')')) {
      found.push(text.slice(begin, at));
      begin = at + 1;
      if (letter === ')') break;
    }
    if ('([{'.includes(letter)) depth += 1;
    if (')]}'.includes(letter)) depth -= 1;
  }
  return found.filter((argument) => argument.trim() !== '');
}
