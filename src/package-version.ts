import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The version of this package, as its `package.json` says; `unknown` where that cannot be read. */
export function packageVersion(): string {
  const path = findPackageJSON(import.meta.url);
  const { version } = JSON.parse(path === undefined ? '{}' : readFileSync(path, 'utf8')) as { version?: unknown };
  return typeof version === 'string' ? version : 'unknown';
}
