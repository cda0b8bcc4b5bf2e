/** `npm run docs`: writes what of docs/ is generated. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { schedulerMachine, workerMachine } from '../machines/index.ts';
import { budgetsPage } from './budgets/page.ts';
import { failureScenariosPage } from './failure-scenarios/page.ts';
import { statesOf } from './statecharts/edges.ts';
import { layOut } from './statecharts/layout.ts';
import { svgFrom } from './statecharts/svg.ts';

const { check } = new Command('docs')
  .description('Write the generated pages and pictures of docs/')
  .option('--check', 'write nothing, and fail where one is not current')
  .parse()
  .opts<{ readonly check?: boolean }>();

const root = resolve(import.meta.dirname, '..');
const scheduler = svgFrom('Life of the scheduler’s half', await layOut(schedulerMachine), statesOf(schedulerMachine));
const worker = svgFrom('Life of one rank’s half', await layOut(workerMachine), statesOf(workerMachine));
const pages: Readonly<Record<string, string>> = {
  'docs/budgets.md': budgetsPage(),
  'docs/failure-scenarios.md': failureScenariosPage(),
  'docs/statecharts/scheduler.svg': scheduler,
  'docs/statecharts/worker.svg': worker,
};

const stale = Object.entries(pages).filter(([file, text]) => {
  const path = resolve(root, file);
  return !existsSync(path) || readFileSync(path, 'utf8') !== text;
});
if (check) {
  if (stale.length > 0) {
    console.error(`not current: ${stale.map(([file]) => file).join(', ')}; run "npm run docs" and commit the result`);
    process.exit(1);
  }
} else {
  for (const [file, text] of stale) {
    mkdirSync(dirname(resolve(root, file)), { recursive: true });
    writeFileSync(resolve(root, file), text);
  }
}
