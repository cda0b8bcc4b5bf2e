import { expect, test } from 'vitest';
import { DemoFeed } from '../../../src/demo/demo-feed.ts';
import { Progress } from '../../../src/demo/progress.ts';
import { atEnd } from '../../support/own.ts';

test('the server is told to be stopped once the engine of the run was ended', async () => {
  const feed = new DemoFeed();
  atEnd(() => feed.close());
  const url = await feed.serve(0);
  const observer = feed.between({ event: () => {}, transition: () => {}, warning: () => {} });
  const server = async () => ((await (await fetch(`${url}/status`)).json()) as { server: unknown }).server;
  observer.event({ type: 'engine.listening', atMs: 1, pid: 7 }, new Progress());
  expect(await server()).toMatchObject({ what: 'listening', atMs: 1 });
  observer.event({ type: 'engine.exited', atMs: 2, pid: 7 }, new Progress());
  expect(await server()).toMatchObject({ what: 'stopped', atMs: 2, how: null });
});
