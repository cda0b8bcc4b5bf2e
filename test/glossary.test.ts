import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const glossary = readFileSync(join(root, 'docs/glossary.md'), 'utf8');
const [terms = '', refused = ''] = glossary.split('## Words that are not used');

const rowsOf = (text: string) =>
  [...text.matchAll(/^\| (.+) \|$/gm)]
    .map(([, row = '']) => row.split(' | '))
    .filter(([first = '']) => !/^(term|word|---)$/.test(first));

/** As prose, and as a part of an identifier: `failed generation` is `failedGeneration` and `failed_generation` there. */
function patternOf(word: string): RegExp {
  const parts = word.split(' ');
  const camel = parts.map((part, i) => (i === 0 ? part : `${part[0]?.toUpperCase()}${part.slice(1)}`)).join('');
  const title = `${camel[0]?.toUpperCase()}${camel.slice(1)}`;
  return new RegExp(
    `\\b${parts.join('[ _-]')}s?\\b|\\b${camel}(?![a-z])|(?<=[a-z])${title}(?![a-z])|\\b${title}(?![a-z])`,
  );
}

describe('the glossary', () => {
  test('each term has one row, a meaning and a home that exists', () => {
    const rows = rowsOf(terms);
    expect(rows.length).toBeGreaterThan(40);
    expect(rows.filter((row) => row.length !== 3)).toEqual([]);
    const names = rows.flatMap(([term = '']) => term.split(', '));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
    const homes = rows.map(([, , home = '']) => home.replaceAll('`', ''));
    expect(homes.filter((home) => !existsSync(join(root, home)))).toEqual([]);
  });

  test('the words of the design are in it', () => {
    const design = readFileSync(join(root, 'docs/design.md'), 'utf8');
    const words = rowsOf(design.slice(design.indexOf('## Words'), design.indexOf('## States'))).map(
      ([word = '']) => word,
    );
    expect(words.length).toBeGreaterThan(4);
    const names = rowsOf(terms).flatMap(([term = '']) => term.split(', '));
    expect(words.filter((word) => !names.includes(word))).toEqual([]);
  });

  test('nothing says the words that are not used', () => {
    const words = rowsOf(refused).map(([word = '']) => word);
    expect(words.length).toBeGreaterThan(5);
    const files = globSync(
      [
        'README.md',
        'CONTRIBUTING.md',
        'docs/*.md',
        '{machines,src,native-bindings,bench,scripts,examples}/**/*.{ts,js}',
      ],
      { cwd: root, exclude: ['docs/glossary.md', 'src/gen/**'] },
    );
    expect(files.length).toBeGreaterThan(300);
    const found = files.flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return words.filter((word) => patternOf(word).test(text)).map((word) => `${file}: ${word}`);
    });
    expect(found).toEqual([]);
  });
});
