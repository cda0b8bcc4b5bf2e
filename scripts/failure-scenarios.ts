/** Writes docs/failure-scenarios.md; with `--check` fails where it is not current. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { failureScenariosPage } from './failure-scenarios/page.ts';

const path = resolve(import.meta.dirname, '../docs/failure-scenarios.md');
const page = failureScenariosPage();
const isCurrent = existsSync(path) && readFileSync(path, 'utf8') === page;
if (!isCurrent && process.argv.includes('--check')) {
  console.error(
    'docs/failure-scenarios.md is not current; run "node scripts/failure-scenarios.ts" and commit the result',
  );
  process.exit(1);
}
if (!isCurrent) writeFileSync(path, page);
