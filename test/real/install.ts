import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RunError } from '../../src/demo/run-error.ts';
import { type Installation, installationOf, recordOf } from './installation.ts';
import { type PublishedVersion, wheelSha256 } from './published-wheels.ts';
import type { Python } from './python.ts';
import { buildStandInLibraries, standInSources } from './stand-in-libraries.ts';

const DOWNLOAD_TIMEOUT_MS = 300_000;

/**
 * Makes the server and client of one published version runnable without a GPU, unless that was done before from the same
 * wheel, interpreter and stand-ins. What is there is replaced as a whole, or stays.
 */
export function install(version: PublishedVersion, python: Python): 'installed' | 'unchanged' {
  const target = installationOf(version);
  const sha256 = wheelSha256(version, python.version);
  if (sha256 === null) throw new RunError(`pegaflow-llm ${version} has no wheel for CPython ${python.version}`);
  const record = JSON.stringify({ version, sha256, python, folder: target.folder, standIns: hashOfStandIns() });
  if (recordOf(target) === record) return 'unchanged';
  mkdirSync(dirname(target.folder), { recursive: true });
  const temporary = mkdtempSync(join(dirname(target.folder), '.new-'));
  try {
    const wheel = download(version, python, sha256, join(temporary, 'download'));
    const made = join(temporary, 'made');
    unpack(python, wheel, join(made, 'wheel'));
    makeStandIns(serverBinary(join(made, 'wheel')), join(made, 'stand-ins'));
    writeLauncher(join(made, 'pegaflow-server'), serverBinary(target.wheel), target, python);
    writeLauncher(join(made, 'python3'), python.executable, target, python);
    rmSync(target.folder, { recursive: true, force: true });
    renameSync(made, target.folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  checkVersion(target);
  writeFileSync(target.record, record);
  return 'installed';
}

function serverBinary(wheel: string): string {
  return join(wheel, 'pegaflow', 'pegaflow-server-py');
}

function hashOfStandIns(): string {
  const hash = createHash('sha256');
  const files = readdirSync(standInSources, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(c|h|py)$/.test(name),
  );
  for (const name of files.sort()) hash.update(`${name}\n`).update(readFileSync(join(standInSources, name)));
  return hash.digest('hex');
}

/** With pip, as its users have set it up: index, mirrors, certificates. Returns the path of the wheel. */
function download(version: PublishedVersion, python: Python, sha256: string, folder: string): string {
  const { status, stderr } = spawnSync(
    python.executable,
    [
      ...['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'],
      ...['--dest', folder, `pegaflow-llm==${version}`],
    ],
    { encoding: 'utf8', timeout: DOWNLOAD_TIMEOUT_MS },
  );
  if (status !== 0) {
    const reason = stderr.trim().split('\n').at(-1) || `no answer in ${DOWNLOAD_TIMEOUT_MS / 1_000} s`;
    throw new RunError(`pip cannot fetch pegaflow-llm ${version}: ${reason}`);
  }
  const [name] = readdirSync(folder).filter((file) => file.endsWith('.whl'));
  if (name === undefined) throw new RunError(`pip fetched no wheel of pegaflow-llm ${version}`);
  const path = join(folder, name);
  const found = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (found !== sha256) throw new RunError(`${name} is not the wheel that was tested: sha256 ${found}, not ${sha256}`);
  return path;
}

function unpack(python: Python, wheel: string, folder: string): void {
  const { status, stderr } = spawnSync(python.executable, ['-m', 'zipfile', '-e', wheel, folder], { encoding: 'utf8' });
  if (status !== 0) throw new RunError(`${wheel} cannot be unpacked: ${stderr.trim().split('\n').at(-1)}`);
  spawnSync('chmod', ['+x', serverBinary(folder)]);
}

function makeStandIns(binary: string, folder: string): void {
  mkdirSync(folder);
  buildStandInLibraries(binary, folder);
  cpSync(join(standInSources, 'torch'), join(folder, 'torch'), { recursive: true });
}

function writeLauncher(path: string, binary: string, { standIns, wheel }: Installation, python: Python): void {
  const libraries = [standIns, ...(python.libraryFolder === null ? [] : [python.libraryFolder])].join(':');
  const text = `#!/bin/sh
export LD_LIBRARY_PATH='${libraries}' PYTHONPATH='${standIns}:${wheel}' PYTHONHOME='${python.home}' PYTHONDONTWRITEBYTECODE=1
exec '${binary}' "$@"
`;
  writeFileSync(path, text, { mode: 0o755 });
}

function checkVersion({ server, version }: Installation): void {
  const { status, stdout, stderr } = spawnSync(server, ['--version'], { encoding: 'utf8' });
  if (status === 0 && stdout.includes(version)) return;
  throw new RunError(`${server} does not run: ${(stderr || stdout).trim().split('\n')[0]}`);
}
