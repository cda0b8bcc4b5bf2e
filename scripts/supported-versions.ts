#!/usr/bin/env node
/** Asks the published servers what the page of supported versions says of them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { CheckReport } from '../src/check/check.ts';
import { publishedVersions } from '../test/real/published-wheels.ts';
import { RealServer } from '../test/support/real-server.ts';
import { RESULTS_FILE, type ServerResult } from './supported-versions/results.ts';
import { countTests, type TestReport } from './supported-versions/test-counts.ts';
import { runTool, toolCommand } from './tool-command.ts';

const ROOT = resolve(import.meta.dirname, '..');

const command = toolCommand(
  'supported-versions',
  'Ask the published servers (npm run real:install), and write what docs/supported-versions.md is generated from',
)
  .option('--with-tests', 'run all tests on published servers first, which takes a quarter of an hour', false)
  .option('--tests <file...>', 'JSON reports of such runs, which vitest wrote')
  .action(collect);

await runTool(command);

async function collect({ withTests, tests = [] }: { readonly withTests: boolean; readonly tests?: readonly string[] }) {
  const reports = tests.map((file) => JSON.parse(readFileSync(file, 'utf8')) as TestReport);
  if (withTests) reports.push(await runTests());
  const date = new Date().toISOString().slice(0, 10);
  const servers: ServerResult[] = [];
  for (const version of publishedVersions) {
    const server = await RealServer.start({ version });
    try {
      const { items } = await checked(`http://${server.grpcAddress}`, `http://${server.httpAddress}`);
      const notKept = items.filter(({ outcome }) => outcome === 'not kept').map(({ id, title }) => `${id} ${title}`);
      const counted = (outcome: string) => items.filter((item) => item.outcome === outcome).length;
      servers.push({
        version,
        date,
        check: { kept: counted('kept'), notKept, notAsked: counted('not asked') },
        ...countTests(reports, version),
      });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
  writeFileSync(RESULTS_FILE, `${JSON.stringify({ servers }, null, 2)}\n`);
}

/** A test that fails is counted as one. */
async function runTests(): Promise<TestReport> {
  const folder = mkdtempSync(join(tmpdir(), 'supported-versions-'));
  try {
    const file = join(folder, 'tests.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const child = spawn('npm', ['run', 'test:real:all', '--', ...reporters], { cwd: ROOT, stdio: 'inherit' });
    await once(child, 'close');
    return JSON.parse(readFileSync(file, 'utf8')) as TestReport;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function checked(endpoint: string, httpUrl: string): Promise<CheckReport> {
  const args = ['src/cli/main.ts', 'check', endpoint, '--http-url', httpUrl, '--write', '--json'];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(child.stdout)) as CheckReport;
}
