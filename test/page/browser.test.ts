import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchBrowser } from '../../scripts/page/browser.ts';
import { ConnectorFeed } from '../../src/feed/connector-feed.ts';
import { serveFeed } from '../../src/feed/http/server.ts';
import type { FeedRecord } from '../../src/feed/record.ts';
import { readRecording } from '../../src/feed/recording.ts';
import { noBrowser, openPage, type WatchedPage } from './support/browser.ts';
import { connected, herd, lost, outage, recovered, schedulerId, step } from './support/synthetic-outage.ts';

const replica = { instance: 'replica-0', ranks: 64 };
/** No record lies in the future of a live page. */
const AGO_MS = 20_000;

let browser: Browser;
let opened: WatchedPage[] = [];
const folder = mkdtempSync(join(tmpdir(), 'page-'));

describe.skipIf(noBrowser !== null)(`the page in a browser${noBrowser ? ` (skipped: ${noBrowser})` : ''}`, () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });

  afterEach(async () => {
    const complaints = opened.flatMap((one) => one.complaints);
    await Promise.all(opened.map(({ page }) => page.close()));
    opened = [];
    expect(complaints).toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('follows an outage live: in words, in the charts and for every rank', async () => {
    const { page, tell } = await live(connected(replica, Date.now() - AGO_MS));
    await page.getByRole('heading', { name: 'replica-0: connected', exact: true }).waitFor();
    await page.locator('#scheduler-chart [data-path="connected.serving"][data-active="leaf"]').waitFor();
    expect(await page.locator('#headline-outage').textContent()).toBe('no outage so far');

    const stoppedMs = Date.now() - 5000;
    tell(lost(replica, stoppedMs));
    await page.getByRole('heading', { name: 'replica-0: reconnecting', exact: true }).waitFor();
    await page.locator('#scheduler-chart [data-path="reconnecting.dialing"][data-active="leaf"]').waitFor();
    await page.locator('#scheduler-chart [data-path="reconnecting"][data-active="outer"]').waitFor();
    await page.locator('#rank-chart [data-path="reconnecting.dialing"][data-active="leaf"]').waitFor();
    expect(await page.locator('#ranks [data-state="reconnecting"]').count()).toBe(64);
    expect(await page.locator('#ranks-summary').textContent()).toBe('all 64 ranks reconnecting');
    expect(await page.locator('#headline-outage').textContent()).toMatch(/^outage now: server killed, \d.* so far$/);
    expect(await page.locator('#headline-evidence').textContent()).toMatch(
      /^last evidence, \d+\.\d s ago: server unreachable: the server closed the connection$/,
    );

    tell(recovered(replica, stoppedMs + 1000));
    await page.getByRole('heading', { name: 'replica-0: connected', exact: true }).waitFor();
    expect(await page.locator('#headline-outage').textContent()).toBe(
      'last outage: server killed, 1.1 s, recovered 100 ms after the server was back',
    );
    expect(await page.locator('#headline-epoch').textContent()).toBe('epoch #2');
    await page.locator('#scheduler-chart [data-went="taken"]').waitFor();
    expect(await page.locator('#outages tr').first().locator('td').allTextContents()).toEqual([
      '1',
      expect.any(String),
      'killed',
      '20 ms',
      '1.0 s',
      '100 ms',
      '#1 → #2',
    ]);
    expect(await page.locator('#sequence li').last().textContent()).toContain('scheduler: connected');
    expect(await page.locator('#sequence').textContent()).toContain('all 64 ranks: registered #2');
  });

  it('shows the rank that was clicked on, and others by the arrow keys', async () => {
    const { page, tell } = await live(connected(replica, Date.now() - AGO_MS));
    tell([step('replica-0/rank 38', Date.now() - 100, 'connected', 'degraded.verifying', 'rpc.failed', '#1')]);
    await page.getByRole('radio', { name: 'rank 37: connected' }).click();
    await page.locator('#rank-title', { hasText: 'Rank 37' }).waitFor();
    await page.locator('#rank-chart [data-path="connected"][data-active="leaf"]').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.locator('#rank-title', { hasText: 'Rank 38' }).waitFor();
    await page.locator('#rank-chart [data-path="degraded.verifying"][data-active="leaf"]').waitFor();
    await page.locator('[data-rank="38"][aria-checked="true"]').waitFor();
    // The same keys move in time everywhere else.
    expect(await page.locator('[name="live"]').getAttribute('aria-pressed')).toBe('true');
    expect(await page.locator('#ranks-summary').textContent()).toBe('63 connected · rank 38 degraded');
  });

  it('shows one of several instances', async () => {
    const other = { instance: 'replica-1', ranks: 2 };
    const agoMs = Date.now() - AGO_MS;
    const { page, tell } = await live([...connected(replica, agoMs), ...connected(other, agoMs)]);
    tell(lost(other, agoMs + 1000));
    await page.locator('.tab[data-state="reconnecting"]', { hasText: 'replica-1' }).click();
    await page.getByRole('heading', { name: 'replica-1: reconnecting', exact: true }).waitFor();
    expect(await page.locator('#ranks [data-rank]').count()).toBe(2);
  });

  it('keeps its own name on one line beside many instances', async () => {
    const agoMs = Date.now() - AGO_MS;
    const shards = Array.from({ length: 12 }, (_, shard) => ({ instance: `replica-0 shard ${shard}`, ranks: 1 }));
    const { page } = await live(shards.flatMap((shard) => connected(shard, agoMs)));
    await page.locator('.tab', { hasText: 'shard 11' }).waitFor();
    const name = await page.locator('#masthead strong').boundingBox();
    expect(name?.height).toBeLessThan(25);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(1280);
  });

  it('goes back in time while the feed goes on, and returns to the newest', async () => {
    const records = [...connected(replica, Date.now() - AGO_MS), ...outage(replica, Date.now() - 10_000)];
    const { page, tell } = await live(records);
    await page.getByRole('heading', { name: 'replica-0: connected', exact: true }).waitFor();
    await page.locator('#outages button').click();
    await page.getByRole('heading', { name: 'replica-0: degraded', exact: true }).waitFor();
    await page.locator('#headline-outage', { hasText: 'outage now: server killed' }).waitFor();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('heading', { name: 'replica-0: reconnecting', exact: true }).waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('heading', { name: 'replica-0: degraded', exact: true }).waitFor();
    tell([
      step(schedulerId(replica.instance), Date.now(), 'connected.unaudited', 'stopping.unregistering', 'stop', '#2'),
    ]);
    // With the header and the last step.
    await page.locator(`html[data-drawn="${records.length + 2}"]`).waitFor();
    expect(await page.locator('h1').textContent()).toBe('replica-0: degraded');
    await page.keyboard.press('End');
    await page.getByRole('heading', { name: 'replica-0: stopping', exact: true }).waitFor();
  });

  it('plays a recording, and steps through it by key and slider', async () => {
    const page = await recording([...connected(replica, 1_000_000), ...outage(replica, 1_010_000)]);
    await page.locator('#connection[data-kind="recording"]').waitFor();
    await page.getByRole('heading', { name: 'replica-0: connected', exact: true }).waitFor();
    await page.locator('[data-zoom="all"][aria-pressed="true"]').waitFor();
    await page.getByRole('slider').fill('10021');
    await page.getByRole('heading', { name: 'replica-0: reconnecting', exact: true }).waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('heading', { name: 'replica-0: degraded', exact: true }).waitFor();
    await page.keyboard.press('Home');
    await page.locator('#headline-outage', { hasText: 'no outage so far' }).waitFor();
    await page.locator('select[name="speed"]').selectOption('20');
    await page.getByRole('button', { name: 'play' }).click();
    await page.locator('#headline-outage', { hasText: 'recovered 100 ms after the server was back' }).waitFor();
    await page.getByRole('button', { name: 'play' }).waitFor();
    expect(await page.getByRole('slider').inputValue()).toBe('11100');
  });

  it('finds the feed again after it was away, and forgets what the one before told', async () => {
    const first = await live(connected(replica, Date.now() - AGO_MS));
    await first.page.locator('#connection[data-kind="live"]').waitFor();
    await first.feed.close();
    await first.page.locator('#connection[data-kind="lost"]').waitFor();
    const second = new ConnectorFeed();
    onTestFinished(() => second.close());
    for (const record of connected({ instance: 'replica-7', ranks: 2 }, Date.now() - AGO_MS)) second.accept(record);
    await second.listen({ port: first.port });
    await first.page.getByRole('heading', { name: 'replica-7: connected', exact: true }).waitFor();
    await first.page.locator('#connection[data-kind="live"]').waitFor();
    expect(await first.page.locator('#ranks [data-rank]').count()).toBe(2);
  });

  it('says from when on a feed knows everything', async () => {
    const { page } = await live([...connected(replica, 1_000_000), ...herd(replica, 1_001_000, 200)], 100);
    await page.locator('#readout', { hasText: /Of what was before [\d:]{8} only the state is kept/ }).waitFor();
    await page.locator('[data-rank="63"]').waitFor();
  });

  it('draws ten thousand records of a herd in a moment', async () => {
    const records = [...connected(replica, 1_000_000), ...herd(replica, 1_001_000, 10_000)];
    const page = await recording(records);
    // The header counts too.
    await page.locator(`html[data-drawn="${records.length + 1}"]`).waitFor();
    // A frame's callbacks run in the order in which they were asked for: the page's first.
    const tookMs = await page.evaluate<number>(`new Promise((resolve) => {
      const fromMs = performance.now();
      dispatchEvent(new KeyboardEvent('keydown', { key: 'Home' }));
      requestAnimationFrame(() => resolve(performance.now() - fromMs));
    })`);
    expect(tookMs).toBeLessThan(1500);
  });

  it.each(['light', 'dark'] as const)('is drawn in %s, and fits screens of every width', async (colorScheme) => {
    const page = await recording([...connected(replica, 1_000_000), ...outage(replica, 1_010_000)], { colorScheme });
    await page.locator('#headline-outage', { hasText: 'last outage: server killed' }).waitFor();
    for (const [width, height] of [
      [1280, 800],
      [1920, 1080],
      [800, 1000],
    ] as const) {
      await page.setViewportSize({ width, height });
      const path = join(folder, `${colorScheme}-${width}.png`);
      await page.screenshot({ path });
      expect(statSync(path).size).toBeGreaterThan(30_000);
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    }
    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const lightness = Number(/\d+/.exec(background)?.[0]);
    expect(lightness > 128).toBe(colorScheme === 'light');
  });
});

/** A page on a feed that goes on. */
async function live(records: readonly FeedRecord[], historyLimit = 10_000) {
  const feed = new ConnectorFeed({ historyLimit });
  onTestFinished(() => feed.close());
  const tell = (more: readonly FeedRecord[]) => {
    for (const record of more) feed.accept(record);
  };
  tell(records);
  const { url, port } = await feed.listen();
  const page = await open(url);
  return { page, feed, tell, port };
}

/** A page on a recording of these records. */
async function recording(records: readonly FeedRecord[], options: BrowserContextOptions = {}): Promise<Page> {
  const path = join(folder, `${Math.random()}.jsonl`);
  const feed = new ConnectorFeed({ historyLimit: records.length });
  await feed.record(path);
  for (const record of records) feed.accept(record);
  await feed.close();
  const server = await serveFeed(await readRecording(path));
  onTestFinished(() => server.close());
  return open(server.url, options);
}

async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const watched = await openPage(browser, `${url}/`, options);
  opened.push(watched);
  return watched.page;
}
