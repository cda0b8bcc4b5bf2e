import type { Fault } from './faults.ts';

/**
 * The published servers that the tests cover, oldest first. They speak the same wire; each demands that a
 * registration names its own version, to the byte.
 */
export const testedServerVersions: readonly string[] = ['0.23.12', '0.24.6', '0.25.1'];

export const newestTestedVersion: string = testedServerVersions.at(-1)!;

/**
 * Which servers a connector registers with.
 *
 * - `tested`: exactly those that the tests cover
 * - `minor`: those of a minor release, such as 0.25, of which one was tested
 * - anything else: this version alone
 */
export type ServerVersions = 'tested' | 'minor' | (string & {});

export function allowsVersion(allowed: ServerVersions, version: string): boolean {
  if (allowed === 'tested') return testedServerVersions.includes(version);
  if (allowed === 'minor') return testedServerVersions.some((tested) => minorOf(tested) === minorOf(version));
  return version === allowed;
}

/** What is tried where nothing is known of the server. */
export function firstVersionOf(allowed: ServerVersions): string {
  return allowed === 'tested' || allowed === 'minor' ? newestTestedVersion : allowed;
}

/**
 * Why a rank with this layer, which begins somewhere inside its allocation, must not be registered with such a server;
 * `null`: it may be. Before 0.24 the server takes such memory for as long as its allocation, and copies past its end.
 */
export function storageOffsetFault(layerName: string, serverVersion: string): Fault | null {
  const [major = 0, minor = 0] = serverVersion.split('.').map(Number);
  if (major > 0 || !(minor < 24)) return null;
  const message = `layer ${layerName} has a storage offset, or a wrapper that cannot be read, which a server of ${serverVersion} does not check: it could copy past the end of the memory`;
  return { kind: 'incompatible', message, serverVersion };
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}
