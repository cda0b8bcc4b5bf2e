import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const SOURCE = /\.(ts|js|mjs|c|sh)$/;
const MAX_SOURCES = 15;

const entriesOf = (folder: string) => readdirSync(join(root, folder), { withFileTypes: true });

function foldersUnder(folder: string): string[] {
  const below = entriesOf(folder).filter((entry) => entry.isDirectory() && entry.name !== 'gen');
  return [folder, ...below.flatMap(({ name }) => foldersUnder(`${folder}/${name}`))];
}

test(`no folder has more than ${MAX_SOURCES} sources`, () => {
  const folders = ['bench', 'examples', 'machines', 'native-bindings', 'scripts', 'src'].flatMap(foldersUnder);
  const sizes = folders.map((folder) => ({
    folder,
    sources: entriesOf(folder).filter((entry) => entry.isFile() && SOURCE.test(entry.name)).length,
  }));
  const tooLarge = sizes.filter(({ sources }) => sources > MAX_SOURCES);
  expect(tooLarge).toEqual([]);
});

test('the map in CONTRIBUTING names each folder of src', () => {
  const map = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const folders = entriesOf('src').filter((entry) => entry.isDirectory());
  expect(folders.length).toBeGreaterThan(10);
  expect(folders.filter(({ name }) => !map.includes(`\`src/${name}/\``)).map(({ name }) => name)).toEqual([]);
});
