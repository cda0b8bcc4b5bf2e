import { describe, expect, it } from 'vitest';
import { RunLog } from '../../src/demo/run-log.ts';
import { wallTimeMs } from '../../src/wall-time.ts';
import { untilServing } from './round.ts';
import { TrafficTotals } from './traffic-totals.ts';

const LIMIT_MS = 10_000;

function connectedRun() {
  const log = new RunLog({ event: () => {} });
  const traffic = new TrafficTotals(() => {});
  log.onEvent((event) => traffic.observe(event));
  let queryId = 0;
  const send = (): number => {
    queryId += 1;
    log.record({ type: 'query.sent', atMs: wallTimeMs(), requestId: `r${queryId}`, queryId });
    return queryId;
  };
  const hit = (id: number) => {
    const answer = { requestId: `r${id}`, queryId: id, result: 'hit', blocks: 1, reason: null } as const;
    log.record({ type: 'query.answered', atMs: wallTimeMs(), ...answer });
  };
  log.record({ type: 'status.changed', atMs: wallTimeMs(), machine: 'scheduler', path: 'connected', fault: null });
  return { log, traffic, send, hit };
}

describe('the end of a round', () => {
  it('is a hit of a query that was sent after the repair, not one from before that was answered late', async () => {
    const { log, traffic, send, hit } = connectedRun();
    hit(send());
    const late = send();
    const sentAtMs = wallTimeMs();
    while (wallTimeMs() <= sentAtMs) await new Promise(setImmediate);
    let isServing = false;
    const serving = untilServing({ log, traffic }, LIMIT_MS, 'a fault').then(() => {
      isServing = true;
    });
    hit(late);
    await new Promise(setImmediate);
    expect(isServing).toBe(false);
    hit(send());
    await serving;
    expect(isServing).toBe(true);
  });
});
