import { describe, expect, test } from 'vitest';
import type { DemoEvent } from '../../../../src/demo/journal.ts';
import { outagesOf } from '../../../../src/demo/report/outages.ts';

const listening = (atMs: number): DemoEvent => ({ type: 'engine.listening', atMs, pid: 1 });
const stopped = (atMs: number): DemoEvent => ({ type: 'engine.stopped', atMs, kind: 'kill', outageMs: 400 });
const scheduler = (atMs: number, path: string): DemoEvent => ({
  type: 'status.changed',
  atMs,
  machine: 'scheduler',
  path,
  fault: null,
});
const rank = (atMs: number, path: string): DemoEvent => ({ ...scheduler(atMs, path), machine: 'rank 0' }) as DemoEvent;

const start = [listening(100), scheduler(110, 'reRegistering'), scheduler(150, 'connected.unaudited')];

describe('outages', () => {
  test('the first is the start', () => {
    expect(outagesOf(start)).toEqual([
      {
        stoppedAtMs: null,
        stopKind: null,
        outageMs: 0,
        noticedAtMs: Number.NEGATIVE_INFINITY,
        listeningAtMs: 100,
        recoveredAtMs: 150,
      },
    ]);
  });

  test('a stop has its notice, the next engine and the recovery; what ranks say does not count', () => {
    const events = [
      ...start,
      scheduler(160, 'connected.serving'),
      stopped(200),
      rank(201, 'reconnecting'),
      scheduler(205, 'reconnecting.dialing'),
      rank(206, 'connected'),
      listening(600),
      scheduler(650, 'connected.unaudited'),
    ];
    expect(outagesOf(events)[1]).toEqual({
      stoppedAtMs: 200,
      stopKind: 'kill',
      outageMs: 400,
      noticedAtMs: 205,
      listeningAtMs: 600,
      recoveredAtMs: 650,
    });
  });

  test('an outage that no stop explains is one of its own, in its place', () => {
    const events = [
      ...start,
      scheduler(170, 'degraded.surveying'),
      scheduler(180, 'connected.serving'),
      stopped(200),
      scheduler(205, 'reconnecting'),
    ];
    const outages = outagesOf(events);
    expect(outages.map(({ stoppedAtMs }) => stoppedAtMs)).toEqual([null, null, 200]);
    expect(outages[1]).toMatchObject({ noticedAtMs: 170, recoveredAtMs: 180, listeningAtMs: null });
    expect(outages[2]).toMatchObject({ noticedAtMs: 205, recoveredAtMs: null, listeningAtMs: null });
  });
});
