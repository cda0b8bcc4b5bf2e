#!/usr/bin/env node
/** What the connectors cost, against hand-written code over the same client and the same link in the same run. */
import { availableParallelism, loadavg } from 'node:os';
import { Option } from 'commander';
import { exits, runTool, toolCommand } from '../scripts/tool-command.ts';
import { UsageError } from '../src/usage-error.ts';
import type { Figure } from './figure.ts';
import { tableFrom } from './report.ts';
import { sections } from './sections/sections.ts';
import type { ServerChoice } from './servers/server-choice.ts';
import { chooseServer } from './servers/server-option.ts';

interface Flags {
  readonly only?: string;
  readonly server: string;
  readonly quick: boolean;
  readonly json: boolean;
  readonly check: boolean;
}

async function run(serverFlags: readonly string[], { only, server: what, quick, json, check }: Flags): Promise<void> {
  if (serverFlags.length > 0 && !process.argv.includes('--')) {
    throw new UsageError(`unexpected argument "${serverFlags[0]}"; flags of the server come after "--"`);
  }
  const server = await chooseServer(what, serverFlags);
  const progress = (text: string) => process.stderr.write(`${text}\n`);
  const results: Record<string, readonly Figure[]> = {};
  const notRun: Record<string, string> = {};
  for (const [name, { title, serverless, measure }] of Object.entries(sections)) {
    if (only !== undefined && only !== name) continue;
    if (server.path !== null && serverless !== null) {
      notRun[name] = serverless;
      if (!json) process.stdout.write(`not run: ${name} (${title}): ${serverless}\n\n`);
      continue;
    }
    const figures = await measure({ extent: quick ? 'quick' : 'full', server, progress });
    results[name] = figures;
    if (!json) process.stdout.write(`${tableFrom(title, figures)}\n\n`);
  }
  const machine = { cores: availableParallelism(), loadAverage: loadavg()[0] ?? 0, node: process.version };
  if (json) {
    const { name, version, path } = server;
    const report = { machine, server: { name, version, path }, isQuick: quick, sections: results, notRun };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else process.stdout.write(`${footnote(machine, server)}\n`);
  const isMissed = Object.values(results).some((figures) => figures.some(({ isMet }) => isMet === false));
  if (check && isMissed) process.exitCode = exits.failed;
}

function footnote(
  { cores, loadAverage, node }: { cores: number; loadAverage: number; node: string },
  { name, version, path }: ServerChoice,
): string {
  return [
    'All figures are medians of n samples, product and floor in turns in this run; 1.00× is as good as the floor.',
    'detection: SIGKILL to leaving connected. recovery: the new server listens to all ranks registered (product: connected).',
    'floor: dial every 1 ms, Session, Register of every rank over a link of its own (or all over one link).',
    'idle: CPU time of the process over wall time, pings and audits and nothing else under way.',
    'memory: live JavaScript heap and external memory per rank (rss beside it: with nghttp2 and free room), all ranks in',
    'one process, the scheduler included, the KV memory not.',
    ...(path === null
      ? []
      : [
          'recovery with --server: up to 5 ms more than the figure (further under load), as the port is read each 4 ms.',
        ]),
    `Server: ${name} ${version}${path === null ? '' : `, ${path}`}.`,
    `${cores} cores, load average ${loadAverage.toFixed(1)}, Node ${node}.`,
  ].join('\n');
}

const command = toolCommand(
  'bench',
  'Measure what the connectors cost and how fast they recover against hand-written code',
)
  .addOption(new Option('--only <name>', 'measure one section').choices(Object.keys(sections)))
  .argument('[flags...]', "flags of the server's own, after --")
  .option(
    '--server <engine|real|path>',
    'the server to measure with: the embedded engine, the newest pegaflow-server that "npm run real:install" has installed, or one by its path, which must map emulated device memory as that one does',
    'engine',
  )
  .option('--quick', 'few samples and few ranks: shows that it works, not how well', false)
  .option('--json', 'print one JSON object and nothing else on standard output', false)
  .option('--check', 'exit with 1 when a target is missed', false)
  .action(run);

// Engines end with this process, and its device memory is freed when it exits.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(exits.interrupted));

await runTool(command);
