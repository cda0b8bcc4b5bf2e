import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunError } from '../../src/demo/run-error.ts';

export const standInSources = fileURLToPath(new URL('stand-ins/', import.meta.url));

/** A library that the server opens by name, the prefix of its functions, and what stands in for those that are used. */
const LIBRARIES = [
  { name: 'libcuda.so', prefix: 'cu', source: 'cuda.c', links: ['libcuda.so.1'] },
  { name: 'libcudart.so', prefix: 'cuda', source: 'cudart.c', links: ['libcudart.so.12', 'libcudart.so.13'] },
  { name: 'libnvrtc.so', prefix: 'nvrtc', source: null, links: ['libnvrtc.so.12', 'libnvrtc.so.13'] },
] as const;

const NOT_SUPPORTED = 801;

/**
 * Compiles the stand-ins for what `binary` resolves at its start. It wants every function of the three libraries, so those
 * that have no source here answer `CUDA_ERROR_NOT_SUPPORTED`.
 */
export function buildStandInLibraries(binary: string, folder: string): void {
  const names = cudaNamesIn(readFileSync(binary));
  for (const { name, prefix, source, links } of LIBRARIES) {
    const stubs = join(folder, `${prefix}-stubs.c`);
    writeFileSync(stubs, stubsFor(names.filter((symbol) => prefixOf(symbol) === prefix)));
    const sources = source === null ? [stubs] : [stubs, join(standInSources, source)];
    compile(['-O1', '-w', '-shared', '-fPIC', '-pthread', '-o', join(folder, name), ...sources]);
    for (const link of links) symlinkSync(name, join(folder, link));
  }
}

function compile(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('gcc', args, { encoding: 'utf8' });
  if (error !== undefined) {
    throw new RunError('gcc is missing, and the stand-ins for CUDA are compiled: apt-get install gcc libc6-dev');
  }
  if (status !== 0) throw new RunError(`gcc: ${stderr.trim().split('\n')[0]}`);
}

/** The names lie in the binary's strings, some of them without anything between. */
function cudaNamesIn(binary: Buffer): string[] {
  const text = binary.toString('latin1');
  const delimited = text.matchAll(/\b(?:cuda|cu|nvrtc)[A-Z]\w{2,80}\b/g);
  const ended = text.matchAll(/(?:cuda|cu|nvrtc)[A-Z]\w{2,80}(?=\0)/g);
  return [...new Set([...delimited, ...ended].map(([symbol]) => symbol))].sort();
}

function prefixOf(symbol: string): 'cu' | 'cuda' | 'nvrtc' {
  if (symbol.startsWith('nvrtc')) return 'nvrtc';
  return symbol.startsWith('cuda') ? 'cuda' : 'cu';
}

/** Weak, so that the functions of a source take their place. */
function stubsFor(symbols: readonly string[]): string {
  return symbols.map((symbol) => `__attribute__((weak)) int ${symbol}(void) { return ${NOT_SUPPORTED}; }\n`).join('');
}
