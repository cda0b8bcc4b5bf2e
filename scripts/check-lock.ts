/**
 * Fails where the lock file lacks a package that another one names as optional, such as a platform's binary: `npm ci`
 * refuses such a lock, though `npm install` has just written it.
 */
import { readFileSync } from 'node:fs';

interface Locked {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages }: { packages: Record<string, Locked> } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
  Object.keys(optionalDependencies)
    .filter((name) => !(`${path}/node_modules/${name}` in packages) && !(`node_modules/${name}` in packages))
    .map((name) => `${path || 'package.json'} names ${name}`),
);
if (missing.length > 0) {
  console.error(`package-lock.json is not whole, npm ci will refuse it:\n${missing.join('\n')}`);
  process.exit(1);
}
