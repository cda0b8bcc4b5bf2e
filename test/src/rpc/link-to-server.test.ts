import { describe, expect, it } from 'vitest';
import { Link, type LinkEnd } from '../../../src/rpc/link.ts';
import { TestConnection, TestSession } from '../../support/engine-rank.ts';
import { atEnd, own } from '../../support/own.ts';
import { endpointOf, kill, startEngine } from '../../support/story.ts';
import { publishedUnderTest } from '../../support/version-under-test.ts';
import { within } from '../../support/within.ts';

const BUDGET_MS = 10_000;

/** A link whose facts are kept. */
async function upTo(endpoint: string, { pingIntervalMs = 60_000, pingTimeoutMs = 60_000 } = {}) {
  const facts: string[] = [];
  const up = Promise.withResolvers<void>();
  const draining = Promise.withResolvers<void>();
  const down = Promise.withResolvers<LinkEnd>();
  const link = new Link(
    { endpoint, pingIntervalMs, pingTimeoutMs },
    {
      up: () => up.resolve(),
      draining: () => {
        facts.push('draining');
        draining.resolve();
      },
      down: (end) => {
        facts.push(end.cause);
        down.resolve(end);
      },
    },
  );
  atEnd(() => link.drop());
  await within(BUDGET_MS, 'the link to be up', up.promise);
  return {
    link,
    facts,
    draining: () => within(BUDGET_MS, 'the drain', draining.promise),
    down: () => within(BUDGET_MS, 'the end of the link', down.promise),
  };
}

const servers: [string, 'engine' | 'connect-node'][] =
  publishedUnderTest === null
    ? [
        ['the engine', 'engine'],
        ['connect-node’s server', 'connect-node'],
      ]
    : [['the published server', 'engine']];

describe.each(servers)('a link to %s', (_, grpc) => {
  const start = () => startEngine({}, { grpc });

  it('tells a server that drains, and refuses what is asked afterwards', async () => {
    const engine = await start();
    const { link, draining } = await upTo(endpointOf(engine));
    // A drain lasts as long as somebody holds a Session.
    const { client } = own(new TestConnection(endpointOf(engine)));
    await TestSession.open(client, 'holds');
    engine.signal('SIGINT');
    await draining();
    await expect(link.request('POST', '/pegaflow.Engine/Health', {})).rejects.toThrow();
  });

  it('tells the end of a server that was killed once, and a dial afterwards is refused', async () => {
    const engine = await start();
    const { facts, down } = await upTo(endpointOf(engine));
    await kill(engine);
    expect((await down()).cause).toBeOneOf(['closed', 'reset']);
    expect(facts).toHaveLength(1);
    const end = Promise.withResolvers<LinkEnd>();
    const late = new Link(
      { endpoint: endpointOf(engine), pingIntervalMs: 60_000, pingTimeoutMs: 60_000 },
      { up: () => {}, draining: () => {}, down: end.resolve },
    );
    atEnd(() => late.drop());
    expect((await within(BUDGET_MS, 'the refusal', end.promise)).cause).toBe('refused');
  });

  it('has its pings answered while nobody asks anything', async () => {
    const engine = await start();
    const { link, facts } = await upTo(endpointOf(engine), { pingIntervalMs: 20, pingTimeoutMs: 5_000 });
    const { client } = own(new TestConnection(endpointOf(engine)));
    for (let call = 0; call < 50; call += 1) await client.health({});
    expect(facts).toEqual([]);
    expect(link.isUp).toBe(true);
  });

  it('takes a server that stands still for lost within the budget of a ping', async () => {
    const engine = await start();
    const { down } = await upTo(endpointOf(engine), { pingIntervalMs: 50, pingTimeoutMs: 300 });
    engine.signal('SIGSTOP');
    try {
      expect((await down()).cause).toBe('pingLost');
    } finally {
      engine.signal('SIGCONT');
    }
  });

  it('is one of two that a server serves apart: dropped, it ends nothing on the other', async () => {
    const engine = await start();
    const [first, second] = [await upTo(endpointOf(engine)), await upTo(endpointOf(engine))];
    first.link.drop();
    expect((await first.down()).cause).toBe('dropped');
    const { client } = own(new TestConnection(endpointOf(engine)));
    await client.health({});
    expect(second.facts).toEqual([]);
    expect(second.link.isUp).toBe(true);
  });
});
