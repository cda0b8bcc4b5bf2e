import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { atEnd } from '../support/own.ts';

const root = resolve(import.meta.dirname, '../..');
const TSC = join(root, 'node_modules/typescript/bin/tsc');
const PAGES = ['README.md', 'docs/embedding.md', 'docs/native-bindings.md'];

/** What the pages take for given, or have said in a block before. */
const GIVEN = `
import type { Announcement, KvCacheLayer, RankReport, SchedulerConnector as Scheduler } from 'pegaflow-lifecycle';
declare global {
  const instance: ConstructorParameters<typeof Scheduler>[0];
  const scheduler: Scheduler;
  class SchedulerConnector extends Scheduler {}
  const layers: KvCacheLayer[];
  const globalRank: number;
  const requestId: string;
  const blockHashes: Uint8Array[];
  const lastOnes: Uint8Array[];
  const blockIds: number[];
  const windowBlockIds: number[];
  function sendToEveryWorker(announcement: Announcement): void;
  function sendToScheduler(report: RankReport): void;
}
`;

/** Every block of TypeScript of a page, as a module by the page and line where it begins. */
function blocksOf(page: string): [fileName: string, text: string][] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: code = '', index }) => {
    const line = text.slice(0, index).split('\n').length + 1;
    return [`${page.replaceAll('/', '-')}-line-${line}.ts`, `${code}export {};\n`];
  });
}

/** What the compiler has to say of these files, with the package's own sources in place of the installed package. */
function complaints(files: readonly (readonly [fileName: string, text: string])[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-blocks-'));
  atEnd(() => rmSync(folder, { recursive: true }));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [fileName, text] of files) writeFileSync(join(folder, fileName), text);
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const paths = Object.entries<{ types: string }>(exports).map(([path, { types }]) => [
    path.replace('.', 'pegaflow-lifecycle'),
    [join(root, types.replace('./dist/', '').replace('.d.ts', '.ts'))],
  ]);
  const compilerOptions = {
    paths: Object.fromEntries(paths),
    rootDir: '/',
    typeRoots: [join(root, 'node_modules/@types')],
    noUnusedLocals: false,
  };
  const config = { extends: join(root, 'tsconfig.test.json'), compilerOptions, include: [folder] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  return new Promise((done) => {
    execFile(process.execPath, [TSC, '-p', folder, '--pretty', 'false'], { timeout: 60_000 }, (error, stdout, stderr) =>
      done(error === null ? '' : `${stdout}${stderr}` || String(error)),
    );
  });
}

test('the TypeScript in the pages for users has the right types, and what has not is told by page and line', {
  timeout: 60_000,
}, async () => {
  const blocks = PAGES.flatMap(blocksOf);
  expect(blocks.length).toBeGreaterThanOrEqual(5);
  const wrong = ['page-line-7.ts', 'scheduler.reconsider();\nexport {};\n'] as const;
  const lines = (await complaints([['given.ts', GIVEN], wrong, ...blocks])).trim().split('\n');
  expect(lines).toEqual([
    expect.stringMatching(/page-line-7\.ts\(1,11\): error TS2339: Property 'reconsider' does not exist/),
  ]);
});
