/** Two replicas with one instance id and the same devices: every probe answers each for the other. */
import { describe, expect, it } from 'vitest';
import { hashesOf } from '../../support/engine-rank.ts';
import { own } from '../../support/own.ts';
import { startEngine } from '../../support/story.ts';
import { TestInstance } from '../../support/test-instance.ts';
import { eventually } from '../../support/within.ts';

const hashes = hashesOf(2);

/** A connected instance with two blocks saved, and a twin that then took its place at the server. */
async function displaced() {
  const engine = await startEngine();
  const endpoint = `http://${engine.grpcAddress}`;
  const shared = { worldSize: 1, instanceId: 'twin', namespace: 'twins', budgets: { auditFirstMs: 60_000 } };
  const ours = own(new TestInstance(endpoint, shared).start());
  await ours.reached('connected');
  for (const block of [0, 1]) ours.memory[0]!.fill(block, block + 1);
  await ours.save('kept', [0, 1], hashes);
  const twin = own(new TestInstance(endpoint, shared).start());
  await twin.reached('connected');
  expect(ours.scheduler.status.state).toBe('connected');
  return { engine, ours, twin };
}

describe('a living twin with our instance id', () => {
  it('S-58: what we load under its registration touches no memory, fails, and is replayed as a loss', async () => {
    const { ours, twin } = await displaced();
    await ours.hit('loads', hashes);
    for (const block of [4, 5]) twin.memory[0]!.fill(block, 90 + block);
    ours.scheduler.scheduleLoad('loads', [4, 5]);
    const { failedLoads } = await ours.ended('loads', 'loaded');
    expect(failedLoads).toEqual(['loads']);
    expect([4, 5].map((block) => twin.memory[0]!.holds(block, 90 + block))).toEqual([true, true]);
    await eventually('the loss to be seen', () => ours.scheduler.status.fault);
    expect(ours.scheduler.status.fault?.message).toMatch(/layer .* is not registered/);
    await twin.scheduler.stop();
    await ours.reached('connected');
  });

  it('S-58: what we save under its registration is not stored: it would be its bytes under our hashes', async () => {
    const { ours, twin } = await displaced();
    const others = hashesOf(2, 'of ours');
    for (const block of [2, 3]) twin.memory[0]!.fill(block, 70 + block);
    for (const block of [2, 3]) ours.memory[0]!.fill(block, 20 + block);
    await ours.save('misled', [2, 3], others);
    expect(await twin.scheduler.query({ requestId: 'asks', blockHashes: others })).toEqual({
      kind: 'miss',
      reason: 'notCached',
    });
    await eventually('the loss to be seen', () => ours.scheduler.status.fault);
  });
});
