/** `npm run screenshot`: plays the demo, and writes what the page shows of it to docs/, in light and in dark. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { serveFeed } from '../src/feed/http/server.ts';
import { readRecording } from '../src/feed/recording.ts';
import { launchBrowser } from './page/browser.ts';

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'screenshot-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'demo.jsonl');

const demo = ['src/cli/main.ts', 'demo', '--ranks', '4', '--restarts', '3', '--record', path];
const { status } = spawnSync(process.execPath, demo, { cwd: root, stdio: 'inherit' });
if (status !== 0) throw new Error(`the demo ended with ${status}`);

const server = await serveFeed(await readRecording(path));
const browser = await launchBrowser();
for (const colorScheme of ['light', 'dark'] as const) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 922 }, colorScheme });
  await page.goto(`${server.url}/`);
  await page.locator('#headline-outage', { hasText: 'last outage' }).waitFor();
  await page.screenshot({ path: join(root, 'docs', `page-${colorScheme}.png`) });
}
await browser.close();
await server.close();
