import { type Browser, chromium } from 'playwright-core';

/** Where Debian's package puts it. */
export const CHROMIUM = '/usr/bin/chromium';

/** Chromium without a screen, which asks nobody but the pages that it is given. Rejects where it is not installed. */
export function launchBrowser(): Promise<Browser> {
  const quiet = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', ...quiet],
    timeout: 25_000,
  });
}
