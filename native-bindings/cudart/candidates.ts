import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Newest first: a library of CUDA 13 on a driver of CUDA 12 is passed over, and the next one is tried. */
const SONAMES = ['libcudart.so.13', 'libcudart.so.12'];

/** Names the library, as `libraryPath` does, for a process that cannot be told otherwise. */
const PATH_VARIABLE = 'PEGAFLOW_CUDART';

/** Where a CUDA installation keeps its libraries. */
const TOOLKIT_FOLDERS = ['lib64', 'lib', 'targets/x86_64-linux/lib', 'targets/sbsa-linux/lib'];

const TOOLKIT_ROOT_VARIABLES = ['CUDA_HOME', 'CUDA_PATH'];
const SYSTEM_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64'];

/** Where NVIDIA's wheels put it, below a `site-packages`: the two are those of CUDA 13 and of CUDA 12. */
const WHEEL_FOLDERS = ['nvidia/cu13/lib', 'nvidia/cuda_runtime/lib'];

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The libraries to try, in this order: what was named explicitly, alone; what `PEGAFLOW_CUDART` names, alone; below
 * `CUDA_HOME` and `CUDA_PATH`; what the loader finds; the usual folders of CUDA, of the system and of Python's wheels.
 * Only files that exist are among them.
 */
export function cudartCandidates(libraryPath: string | undefined, environment: Environment): string[] {
  const named = libraryPath ?? environment[PATH_VARIABLE];
  if (named) return [named];
  const roots = TOOLKIT_ROOT_VARIABLES.flatMap((name) => environment[name] || []);
  const found = [
    ...inFolders(roots.flatMap(toolkitFolders)),
    ...SONAMES,
    ...inFolders([
      ...below('/usr/local', /^cuda(-.*)?$/).flatMap(toolkitFolders),
      ...toolkitFolders('/opt/cuda'),
      ...SYSTEM_FOLDERS,
      ...sitePackages(environment).flatMap((folder) => WHEEL_FOLDERS.map((inside) => join(folder, inside))),
    ]),
  ];
  return [...new Set(found)];
}

function toolkitFolders(root: string): string[] {
  return TOOLKIT_FOLDERS.map((folder) => join(root, folder));
}

function inFolders(folders: readonly string[]): string[] {
  return SONAMES.flatMap((name) => folders.map((folder) => join(folder, name))).filter((path) => existsSync(path));
}

function sitePackages(environment: Environment): string[] {
  const prefixes = ['VIRTUAL_ENV', 'CONDA_PREFIX'].flatMap((name) => environment[name] || []);
  const ofUser = environment['HOME'] ? [join(environment['HOME'], '.local')] : [];
  return [...prefixes, ...ofUser, '/usr/local', '/usr'].flatMap((prefix) =>
    below(join(prefix, 'lib'), /^python3/).flatMap((python) => [
      join(python, 'site-packages'),
      join(python, 'dist-packages'),
    ]),
  );
}

/** The entries of a folder whose names match, the newest version first; none where there is no folder that can be read. */
function below(folder: string, name: RegExp): string[] {
  return entriesOf(folder)
    .filter((entry) => name.test(entry))
    .sort((one, other) => other.localeCompare(one, 'en', { numeric: true }))
    .map((entry) => join(folder, entry));
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
