import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { namespaceOf } from '../../src/connector/index.ts';
import { namespaceFactors } from '../support/namespace-factors.ts';
import { installed } from './installation.ts';
import { publishedVersions } from './published-wheels.ts';

const script = fileURLToPath(new URL('derive_namespace.py', import.meta.url));

it.each(publishedVersions)('namespaceOf is what the wheel of pegaflow-llm %s derives', (version) => {
  const { python, wheel } = installed(version);
  const args = [script, join(wheel, 'pegaflow', 'connector', 'common.py')];
  const { stdout, stderr } = spawnSync(python, args, { input: JSON.stringify(namespaceFactors), encoding: 'utf8' });
  const ours = Object.entries(namespaceFactors).map(([name, factors]) => [name, namespaceOf(factors, version)]);
  expect(JSON.parse(stdout || JSON.stringify(stderr))).toEqual(Object.fromEntries(ours));
});
