/** `npm run docs`: writes what of docs/ is generated, and the charts that the feed's readers draw. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { schedulerMachine, workerMachine } from '../machines/index.ts';
import type { Charts } from '../src/feed/record.ts';
import { budgetsPage } from './budgets/page.ts';
import { failureScenariosPage } from './failure-scenarios/page.ts';
import { chartOf } from './statecharts/chart.ts';
import { statesOf } from './statecharts/edges.ts';
import { layOut } from './statecharts/layout.ts';
import { statesPage } from './statecharts/page.ts';
import { svgFrom } from './statecharts/svg.ts';
import { supportedVersionsPage } from './supported-versions/page.ts';
import { dashboardJson } from './telemetry/dashboard.ts';
import { telemetryPage } from './telemetry/page.ts';
import { exits, runTool, toolCommand } from './tool-command.ts';

const command = toolCommand('docs', 'Write the generated pages and pictures of docs/, and the charts of the feed')
  .option('--check', 'write nothing, and fail where one is not current', false)
  .action(writePages);

await runTool(command);

async function writePages({ check }: { readonly check: boolean }): Promise<void> {
  const root = resolve(import.meta.dirname, '..');
  const stale = Object.entries(await pages()).filter(([file, text]) => {
    const path = resolve(root, file);
    return !existsSync(path) || readFileSync(path, 'utf8') !== text;
  });
  if (check && stale.length > 0) {
    const files = stale.map(([file]) => file).join(', ');
    process.stderr.write(`not current: ${files}; run "npm run docs" and commit the result\n`);
    process.exitCode = exits.failed;
  }
  if (check) return;
  for (const [file, text] of stale) {
    mkdirSync(dirname(resolve(root, file)), { recursive: true });
    writeFileSync(resolve(root, file), text);
  }
}

/** Every generated file by its path. */
async function pages(): Promise<Readonly<Record<string, string>>> {
  return {
    'docs/budgets.md': budgetsPage(),
    'docs/failure-scenarios.md': failureScenariosPage(),
    'docs/grafana/pegaflow-lifecycle.json': dashboardJson(),
    'docs/supported-versions.md': supportedVersionsPage(),
    'docs/telemetry.md': telemetryPage(),
    'docs/statecharts/states.md': statesPage(),
    'docs/statecharts/scheduler.svg': await chart('Life of the scheduler’s half', schedulerMachine),
    'docs/statecharts/worker.svg': await chart('Life of one rank’s half', workerMachine),
    // A line for each state and edge, so that a change can be read.
    'src/feed/charts.json': `${JSON.stringify(await charts()).replaceAll(/(?=\{"(?:path|id)":)/g, '\n')}\n`,
  };
}

async function charts(): Promise<Charts> {
  return { scheduler: await chartOf(schedulerMachine), worker: await chartOf(workerMachine) };
}

async function chart(title: string, machine: Parameters<typeof layOut>[0]): Promise<string> {
  return svgFrom(title, await layOut(machine), statesOf(machine));
}
