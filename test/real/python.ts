import { spawnSync } from 'node:child_process';
import { RunError } from '../../src/demo/run-error.ts';
import { supportedPythons } from './published-wheels.ts';

/** The interpreter whose wheels we take, and the shared library of it that the server is linked against. */
export interface Python {
  readonly executable: string;
  /** Such as `3.11`. */
  readonly version: string;
  /** What `PYTHONHOME` is set to, so that the server finds the same standard library whatever the `PATH`. */
  readonly home: string;
  /** The folder of the shared library; `null` where the loader finds it by itself. */
  readonly libraryFolder: string | null;
}

const QUESTIONS = `
import ctypes, json, os, platform, sys, sysconfig
name = "libpython%d.%d.so.1.0" % sys.version_info[:2]
folder = sysconfig.get_config_var("LIBDIR")
def loads(path):
    try:
        ctypes.CDLL(path)
        return True
    except OSError:
        return False
in_folder = folder is not None and loads(os.path.join(folder, name))
try:
    import pip
    has_pip = True
except ImportError:
    has_pip = False
print(json.dumps({
    "executable": getattr(sys, "_base_executable", sys.executable) or sys.executable,
    "version": "%d.%d" % sys.version_info[:2],
    "implementation": platform.python_implementation(),
    "machine": platform.machine(),
    "home": sys.base_prefix,
    "library": name,
    "libraryFolder": folder if in_folder else None,
    "hasLibrary": in_folder or loads(name),
    "hasPip": has_pip,
}))
`;

/** @throws RunError that says in one line what is missing, and what to do */
export function findPython(): Python {
  const { status, stdout, stderr, error } = spawnSync('python3', ['-c', QUESTIONS], { encoding: 'utf8' });
  if (error !== undefined) {
    throw new RunError('python3 is not there: install it (Debian: apt-get install python3 python3-pip)');
  }
  if (status !== 0) throw new RunError(`python3 does not run: ${stderr.trim().split('\n').at(-1)}`);
  const { implementation, machine, hasLibrary, library, hasPip, ...python } = JSON.parse(stdout);
  const { version, executable } = python;
  if (process.platform !== 'linux' || machine !== 'x86_64') {
    throw new RunError(`the wheels of pegaflow-llm are for Linux on x86_64, not for ${process.platform} on ${machine}`);
  }
  if (implementation !== 'CPython' || !supportedPythons.includes(version)) {
    const known = `${supportedPythons[0]} to ${supportedPythons.at(-1)}`;
    throw new RunError(
      `python3 is ${implementation} ${version} (${executable}), and pegaflow-llm has wheels for CPython ${known}: put one of those first in PATH`,
    );
  }
  if (!hasLibrary) {
    throw new RunError(
      `python3 is ${version} (${executable}), but its shared library ${library} is missing, and the server needs it: install it (Debian: apt-get install libpython${version}), or put a python3 that was built with --enable-shared first in PATH`,
    );
  }
  if (!hasPip) {
    throw new RunError(`pip is missing from ${executable}: install it (Debian: apt-get install python3-pip)`);
  }
  return python;
}
