import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const module = new URL('../../native-bindings/index.ts', import.meta.url).href;

const isAddonMappedAfter = async (statement: string): Promise<string> => {
  const script = `
    import { readFileSync } from 'node:fs';
    import * as bindings from '${module}';
    ${statement}
    console.log(readFileSync('/proc/self/maps', 'latin1').includes('koffi'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return stdout.trim();
};

test('importing the bindings loads nothing native; the first call does', async () => {
  expect(await isAddonMappedAfter('')).toBe('false');
  expect(await isAddonMappedAfter('bindings.LoadState.create()[Symbol.dispose]();')).toBe('true');
}, 30_000);
