import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing } from '../../support/missing.ts';

const COMPILER = 'gcc';
const SOURCE = fileURLToPath(new URL('./cuda-double.c', import.meta.url));
const TYPES = fileURLToPath(new URL('./cuda-types.h', import.meta.url));
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/pegaflow-tests', import.meta.url));

/** Why nothing can be compiled here, or `null`. */
export const noCompiler = missing(COMPILER, spawnSync(COMPILER, ['--version']).status === 0);

const OPTIONS = ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', SOURCE, '-lpthread', '-lrt'];

/** Compiles the stand-in for libcudart unless that was done before. @returns its path */
export function cudaDouble(definitions: readonly string[] = []): string {
  const version = createHash('sha256')
    .update(readFileSync(SOURCE))
    .update(readFileSync(TYPES))
    .update(definitions.join())
    .digest('hex');
  const library = join(CACHE, `libcudart-double-${version.slice(0, 16)}.so`);
  if (!existsSync(library)) compile([...definitions, ...OPTIONS], library);
  return library;
}

/** Compiles into a new file, which appears when it is whole. @throws Error with what the compiler said */
export function compile(args: readonly string[], output: string): void {
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${output}.${process.pid}`;
  const { status, stderr } = spawnSync(COMPILER, ['-o', unfinished, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${COMPILER} ended with ${status}: ${stderr}`);
  renameSync(unfinished, output);
}
