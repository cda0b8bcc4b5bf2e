import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

const TIMEOUT_MS = 60_000;

interface Ended {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: TIMEOUT_MS }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

test.each([
  ['bench', 'bench/main.ts'],
  ['check:package', 'scripts/check-package.ts'],
  ['docs', 'scripts/docs.ts'],
  ['simulate', 'test/simulation/main.ts'],
  ['simulate:mutants', 'test/simulation/mutants-main.ts'],
  ['soak', 'test/soak/main.ts'],
  ['test:repeat', 'scripts/repeat-tests.ts'],
])(
  '%s explains itself, and refuses an option that it does not have in one line',
  { timeout: TIMEOUT_MS },
  async (name, path) => {
    const [help, refusal] = await Promise.all([run(path, '--help'), run(path, '--no-such-option')]);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain(`Usage: ${name} `);
    expect(refusal).toEqual({ code: 2, stdout: '', stderr: "error: unknown option '--no-such-option'\n" });
  },
);
