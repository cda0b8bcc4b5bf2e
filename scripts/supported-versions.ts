#!/usr/bin/env node
/** Asks the published servers what the page of supported versions says of them. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { CheckReport } from '../src/check/check.ts';
import { publishedVersions } from '../test/real/published-wheels.ts';
import { RealServer } from '../test/support/real-server.ts';
import { RESULTS_FILE, type ServerResult, type TestCounts } from './supported-versions/results.ts';
import { runTool, toolCommand } from './tool-command.ts';

const ROOT = resolve(import.meta.dirname, '..');

const command = toolCommand(
  'supported-versions',
  'Ask the published servers (npm run real:install), and write what docs/supported-versions.md is generated from',
)
  .option('--tests <folder>', 'where vitest left its JSON reports: server-<version>.json and client-<version>.json')
  .action(collect);

await runTool(command);

async function collect({ tests }: { readonly tests?: string }): Promise<void> {
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
        tests: countsFrom(tests, `server-${version}.json`),
        client: countsFrom(tests, `client-${version}.json`),
      });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  }
  writeFileSync(RESULTS_FILE, `${JSON.stringify({ servers }, null, 2)}\n`);
}

async function checked(endpoint: string, httpUrl: string): Promise<CheckReport> {
  const args = ['src/cli/main.ts', 'check', endpoint, '--http-url', httpUrl, '--write', '--json'];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(child.stdout)) as CheckReport;
}

function countsFrom(folder: string | undefined, name: string): TestCounts | null {
  const path = folder === undefined ? null : resolve(folder, name);
  if (path === null || !existsSync(path)) return null;
  const report = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, number>>;
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, numPendingTests: skipped = 0 } = report;
  return { passed, failed, skipped };
}
