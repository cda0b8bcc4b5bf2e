import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const FOLDERS = ['machines', 'src/connector', 'src/actors', 'src/rpc', 'src/telemetry'];

export interface Source {
  /** Path from the repository's root. */
  readonly file: string;
  readonly text: string;
}

/** Every source that may wait, in the order of its path. The table of budgets itself is none. */
export function waitingSources(): Source[] {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, folder, name)),
  );
  return files
    .map((file) => ({ file: relative(root, file), text: readFileSync(file, 'utf8') }))
    .filter(({ file }) => file !== 'machines/budgets.ts')
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** The sources that name a budget. */
export function filesThatRead(budget: string): string[] {
  const read = new RegExp(`\\b${budget}\\b`);
  return waitingSources()
    .filter(({ text }) => read.test(text))
    .map(({ file }) => file);
}
