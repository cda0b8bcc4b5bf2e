import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Runs the embedded engine with the arguments of a script. */
export const ENGINE = `"${process.execPath}" "${MAIN}" engine --no-metrics --log-level warn "$@"`;

/** Files that the demo takes for servers; gone when the tests of their file have ended. */
export class ServerScripts {
  readonly folder = mkdtempSync(join(tmpdir(), 'pegaflow-server-'));

  constructor() {
    afterAll(() => rmSync(this.folder, { recursive: true }));
  }

  write(name: string, lines: string, mode = 0o755): string {
    const path = join(this.folder, name);
    writeFileSync(path, `#!/bin/sh\n${lines}\n`);
    chmodSync(path, mode);
    return path;
  }
}
