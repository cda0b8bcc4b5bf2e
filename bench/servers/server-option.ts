/** What `--server` names. */
import { existsSync } from 'node:fs';
import { ownServer } from '../../src/demo/server/served-by.ts';
import { UsageError } from '../../src/usage-error.ts';
import { type Installation, installationOf, recordOf } from '../../test/real/installation.ts';
import { publishedVersions } from '../../test/real/published-wheels.ts';
import { chooseCommand } from './command-server.ts';
import { embeddedEngine, type ServerChoice } from './server-choice.ts';

/** Flags of pegaflow-server that the bench sets. */
const OWN_FLAGS = ['--addr', '--http-addr', '--pool-size'];

/**
 * `engine`, `real`, which is the first of the installations that is there, or the path of a server.
 *
 * @throws UsageError for what cannot be run
 */
export async function chooseServer(
  what: string,
  flags: readonly string[],
  installations: readonly Installation[] = publishedVersions.map(installationOf),
): Promise<ServerChoice> {
  if (what === 'engine') {
    if (flags.length > 0) throw new UsageError(`${flags[0]} after "--": the embedded engine takes no flags here`);
    return embeddedEngine;
  }
  const ownFlag = flags.find((flag) => OWN_FLAGS.includes(flag.split('=')[0] ?? ''));
  if (ownFlag !== undefined) throw new UsageError(`${ownFlag} after "--": the bench sets it`);
  return chooseCommand(what === 'real' ? newestOf(installations) : executable(what), flags);
}

function newestOf(installations: readonly Installation[]): string {
  const found = installations.find((installation) => recordOf(installation) !== null);
  if (found === undefined) throw new UsageError('--server real: no pegaflow-server is installed: npm run real:install');
  return found.server;
}

function executable(what: string): string {
  if (what.includes('/') && existsSync(what)) {
    const own = ownServer(what, []);
    if (own.kind === 'command') return own.path;
  }
  const known = '"engine", "real" (after npm run real:install), or the path of a pegaflow-server';
  throw new UsageError(`--server ${what}: there is no such server; give ${known}`);
}
