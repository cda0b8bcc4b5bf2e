import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PublishedVersion } from './published-wheels.ts';

const ROOT = fileURLToPath(new URL('../../.real/', import.meta.url));

/** Where one published version lies, and how it is started. `npm run real:install` makes all of it. */
export interface Installation {
  readonly version: PublishedVersion;
  readonly folder: string;
  /** Becomes the server, in the same process. Its flags are those of pegaflow-server. */
  readonly server: string;
  /** Becomes the Python whose `pegaflow` is the wheel's and whose `torch` is the stand-in. */
  readonly python: string;
  /** The wheel, unpacked. */
  readonly wheel: string;
  /** Libraries and Python modules in place of CUDA and torch. */
  readonly standIns: string;
  /** What it was made from. */
  readonly record: string;
}

export function installationOf(version: PublishedVersion): Installation {
  const folder = join(ROOT, version);
  return {
    version,
    folder,
    server: join(folder, 'pegaflow-server'),
    python: join(folder, 'python3'),
    wheel: join(folder, 'wheel'),
    standIns: join(folder, 'stand-ins'),
    record: join(folder, 'installed.json'),
  };
}

/** @throws Error where it is not installed */
export function installed(version: PublishedVersion): Installation {
  const installation = installationOf(version);
  if (!existsSync(installation.record)) {
    throw new Error(`pegaflow-server ${version} is not installed: npm run real:install`);
  }
  return installation;
}

export function recordOf({ record }: Installation): string | null {
  return existsSync(record) ? readFileSync(record, 'utf8') : null;
}
