/** What was shown with published servers and clients: kept in a file, so that the page can be checked without any of them. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';

export interface SupportedVersions {
  readonly servers: readonly ServerResult[];
}

export interface ServerResult {
  readonly version: string;
  /** `YYYY-MM-DD` */
  readonly date: string;
  /** Items of `check --write`, with the HTTP port. */
  readonly check: { readonly kept: number; readonly notKept: readonly string[]; readonly notAsked: number };
  /** Connector tests and stories on this server; `null`: they were not run when the page was made. */
  readonly tests: TestCounts | null;
  /** Tests of what this server does: conformance, wire, drain, refusals, operating. */
  readonly ofServer: TestCounts | null;
  /** Tests of the published client of this version against the embedded engine. */
  readonly client: TestCounts | null;
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const RESULTS_FILE = resolve(import.meta.dirname, 'results.json');

export function readResults(): SupportedVersions {
  if (!existsSync(RESULTS_FILE)) return { servers: [] };
  return JSON.parse(readFileSync(RESULTS_FILE, 'utf8')) as SupportedVersions;
}
