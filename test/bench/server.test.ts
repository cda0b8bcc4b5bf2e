import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { chooseServer } from '../../bench/servers/server-option.ts';
import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import { UsageError } from '../../src/usage-error.ts';
import { descendantsOf } from '../stories/demo-process.ts';
import { eventually, within } from '../support/within.ts';
import { runBench, startBench } from './bench-process.ts';

const RUN_TIMEOUT_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'pegaflow-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file that the bench takes for a server. */
function script(name: string, line: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  return path;
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const server = script('server', `exec "${process.execPath}" "${MAIN}" engine --no-metrics "$@"`);

describe('the bench with a server by its path', () => {
  it('measures with it and names it in its JSON object', { timeout: RUN_TIMEOUT_MS }, async () => {
    const { code, stdout } = await runBench('--server', server, '--only', 'degraded', '--quick', '--json');
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      server: { name: 'pegaflow-server', version: PEGAFLOW_VERSION, path: server },
      notRun: {},
    });
    expect(report.sections.degraded[0]).toMatchObject({ name: 'query while degraded', samples: 50 });
  });

  it('says which section it does not run, and why', { timeout: RUN_TIMEOUT_MS }, async () => {
    const args = ['--server', server, '--only', 'telemetry', '--quick'];
    const { code, stdout } = await runBench(...args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^not run: telemetry \(.+\): needs no server/m);
    expect(stdout).toContain(`Server: pegaflow-server ${PEGAFLOW_VERSION}, ${server}.`);
    const { notRun, sections } = JSON.parse((await runBench(...args, '--json')).stdout);
    expect({ notRun, sections }).toEqual({
      notRun: { telemetry: expect.stringMatching(/^needs no server/) },
      sections: {},
    });
  });

  it('leaves nothing of it at Ctrl-C', { timeout: RUN_TIMEOUT_MS }, async () => {
    const child = startBench('--server', server, '--only', 'recovery', '--quick');
    child.stdout.resume();
    const progress = await within(50_000, 'the first round', once(createInterface(child.stderr), 'line'));
    expect(progress[0]).toContain('round 0');
    const processes = descendantsOf(child.pid!);
    expect(processes.length).toBeGreaterThanOrEqual(2);
    child.kill('SIGINT');
    const [code] = await within(20_000, 'the end', once(child, 'exit'));
    expect(code).toBe(130);
    await eventually('the server to be gone', () =>
      processes.every(({ pid }) => !existsSync(`/proc/${pid}`)) ? true : null,
    );
  });

  it.each([
    [
      'a name that is no path',
      ['--server', 'nonsense'],
      2,
      /"engine", "real" \(after npm run real:install\), or the path/,
    ],
    ['a server that no connector knows', ['--server', server, '--', '--server-version', '9.9.9'], 2, /server 9\.9\.9;/],
    ['a server that ends', ['--server', script('broken', 'echo "no GPU: error" >&2; exit 3')], 1, /status 3\): no GPU/],
  ])('ends with one line for %s', { timeout: RUN_TIMEOUT_MS }, async (_, args, status, words) => {
    const { code, stdout, stderr } = await runBench('--only', 'degraded', '--quick', ...args);
    expect({ code, stdout }).toEqual({ code: status, stdout: '' });
    expect(stderr.trimEnd()).toMatch(words);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it.each([
    ['a path where nothing is', '/nowhere/server', [], /^--server \/nowhere\/server: there is no such server; give/],
    ['a folder', folder, [], /: is no file$/],
    ['a flag that it sets itself', server, ['--addr=127.0.0.1:1'], /^--addr=\S+ after "--": the bench sets it$/],
    ['a flag for the embedded engine', 'engine', ['--blockwise-alloc'], /takes no flags here$/],
  ])('refuses %s', async (_, what, flags, words) => {
    const refusal = await chooseServer(what, flags).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UsageError);
    expect((refusal as UsageError).message).toMatch(words);
  });

  it('says how the published servers are installed where none is', async () => {
    await expect(chooseServer('real', [], [])).rejects.toThrow(
      /no pegaflow-server is installed: npm run real:install$/,
    );
  });
});
