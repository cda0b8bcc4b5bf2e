import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface HoldingTest {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly name: string;
  /** Row numbers in the name, such as `S-05`. */
  readonly rows: readonly string[];
}

/** The first argument of `it`, `test` or `describe`, also after a table of `each`; a text of the table where it has a number. */
const NAMES =
  /(?:\b(?:it|test|describe)(?:\.\w+)?\(|\bitNeeds\('[^']*'\)\(|\]( as const)?\)\(|^\s*\[)\s*(['`])(.*?)\2,/gms;

/** The tests below `root` whose names hold rows of the catalogue, by file and place. */
export function holdingTests(root: string): HoldingTest[] {
  return globSync('test/**/*.test.ts', { cwd: root })
    .sort()
    .flatMap((file) => {
      const names = [...readFileSync(join(root, file), 'utf8').matchAll(NAMES)].map(([, , , name]) => name ?? '');
      return names.map((name) => ({ file, name, rows: name.match(/\bS-\d+\b/g) ?? [] }));
    })
    .filter(({ rows }) => rows.length > 0);
}
