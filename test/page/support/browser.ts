import { existsSync } from 'node:fs';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { CHROMIUM } from '../../../scripts/page/browser.ts';
import { missing } from '../../support/missing.ts';

/** Why no browser can be driven here, or `null`. */
export const noBrowser = missing(CHROMIUM, existsSync(CHROMIUM));

/** A page and all that went wrong in it, or that it asked of anybody but the host of `url`. */
export interface WatchedPage {
  readonly page: Page;
  readonly complaints: readonly string[];
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A feed that is away is part of a test.
    if (message.type() === 'error' && !message.text().includes('net::ERR_')) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) complaints.push(`asks for ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}
