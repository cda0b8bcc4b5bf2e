/** Who serves a run: the embedded engine or a command of the user's, both stopped and started here, or somebody else's server. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { UsageError } from '../../usage-error.ts';

/** A server that the run starts and stops. */
export type OwnServer =
  | { readonly kind: 'engine'; readonly flags: readonly string[] }
  | { readonly kind: 'command'; readonly path: string; readonly flags: readonly string[] };

export type ServedBy = OwnServer | { readonly kind: 'endpoint'; readonly url: string };

/** Flags that the run sets itself, and what to do instead of giving them. */
const OWN_FLAGS = new Map([
  ['--addr', 'the demo chooses it'],
  ['--http-addr', 'the demo chooses it'],
  ['--pool-size', 'give --pool-size to the demo, before the "--"'],
]);

/** @throws UsageError for a command that cannot be run, and for a flag that the run sets itself */
export function ownServer(what: string, flags: readonly string[]): OwnServer {
  for (const flag of flags) {
    const advice = OWN_FLAGS.get(flag.split('=')[0] ?? '');
    if (advice !== undefined) throw new UsageError(`${flag} after "--": ${advice}`);
  }
  return what === 'engine' ? { kind: 'engine', flags } : { kind: 'command', path: executable(what), flags };
}

/** The file that a shell would run. */
function executable(what: string): string {
  if (what.includes('/')) {
    const path = resolve(what);
    const complaint = executableComplaint(path);
    if (complaint !== null) throw new UsageError(`--server ${what}: ${complaint}`);
    return path;
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const found = folders.map((folder) => join(folder, what)).find((path) => executableComplaint(path) === null);
  if (found !== undefined) return found;
  throw new UsageError(`--server ${what}: no such command on the PATH; give the path of a server, or "engine"`);
}

function executableComplaint(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return 'is no file';
    accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
    return code === 'EACCES' ? 'is not executable (chmod +x)' : `cannot be run: ${code}`;
  }
}
