import { describe, TestRunner } from 'vitest';
import { publishedUnderTest } from '../support/version-under-test.ts';

/** Puts the tests of each file below the server that they are asked of, so that their names say it wherever they are told. */
export default class VersionedRunner extends TestRunner {
  override importFile(path: string, source: 'collect' | 'setup'): unknown {
    if (source === 'setup') return super.importFile(path, source);
    return describe(`pegaflow-server ${publishedUnderTest}`, async () => void (await super.importFile(path, source)));
  }
}
