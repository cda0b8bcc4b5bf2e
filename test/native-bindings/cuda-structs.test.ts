import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { structs } from '../../native-bindings/cudart/declarations.ts';
import { declareStructs } from '../../native-bindings/cudart/library.ts';
import { koffi } from '../../native-bindings/foreign-function.ts';
import { compile, noCompiler } from './cuda-double/build.ts';

/** Size of each struct and offset of each member, in bytes. */
type Layout = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What gcc 12 says on x86-64 about the headers of CUDA 13.0. */
const RECORDED: Layout = {
  cudaIpcMemHandle_t: { sizeof: 64, reserved: 0 },
  cudaPointerAttributes: { sizeof: 88, type: 0, device: 4, devicePointer: 8, hostPointer: 16, reserved: 24 },
  CUuuid: { sizeof: 16, bytes: 0 },
};

const declared = (): Layout => {
  declareStructs();
  return Object.fromEntries(
    Object.entries(structs).map(([name, members]) => [
      name,
      {
        sizeof: koffi().sizeof(name),
        ...Object.fromEntries(Object.keys(members).map((member) => [member, koffi().offsetof(name, member)])),
      },
    ]),
  );
};

/** Asks a compiler, with these headers in front. */
const compiled = (headers: string, includeFolders: readonly string[]): Layout => {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-probe-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const lines = Object.entries(structs).flatMap(([name, members]) => {
    const type = name === 'cudaPointerAttributes' ? `struct ${name}` : name;
    return [
      `printf("${name} sizeof %zu\\n", sizeof(${type}));`,
      ...Object.keys(members).map((member) => `printf("${name} ${member} %zu\\n", offsetof(${type}, ${member}));`),
    ];
  });
  const source = join(folder, 'probe.c');
  writeFileSync(source, `${headers}\n#include <stdio.h>\nint main(void) { ${lines.join('\n')} return 0; }\n`);
  const program = join(folder, 'probe');
  compile([...includeFolders.map((include) => `-I${include}`), source], program);
  const layout: Record<string, Record<string, number>> = {};
  for (const line of spawnSync(program, { encoding: 'utf8' }).stdout.trim().split('\n')) {
    const [name = '', member = '', bytes] = line.split(' ');
    layout[name] = { ...layout[name], [member]: Number(bytes) };
  }
  return layout;
};

const cuda13Headers = (): string | undefined => {
  const roots = readdirSync('/usr/local').filter((name) => name.startsWith('cuda'));
  return [process.env['CUDA_HOME'], ...roots.map((name) => `/usr/local/${name}`)]
    .map((root) => `${root}/include`)
    .find(
      (folder) => existsSync(`${folder}/cuda.h`) && /CUDA_VERSION 13/.test(readFileSync(`${folder}/cuda.h`, 'utf8')),
    );
};

describe('the structs as koffi lays them out', () => {
  test('are those that were recorded from the headers of CUDA 13', () => {
    expect(declared()).toEqual(RECORDED);
  });

  test('are declared once for all copies of this module in a process', async () => {
    declareStructs();
    vi.resetModules();
    const copy = await import('../../native-bindings/cudart/library.ts');
    expect(copy.declareStructs).not.toBe(declareStructs);
    copy.declareStructs();
  });

  test('are those of a C compiler', ({ skip }) => {
    if (noCompiler) skip(noCompiler);
    const folder = fileURLToPath(new URL('./cuda-double', import.meta.url));
    expect(compiled('#include "cuda-types.h"', [folder])).toEqual(declared());
  });

  test('are those of the CUDA 13 headers that are installed here', ({ skip }) => {
    if (noCompiler) skip(noCompiler);
    const include = cuda13Headers();
    if (include === undefined) return skip('the headers of CUDA 13 are not installed');
    const headers = '#include <cuda.h>\n#include <cuda_runtime_api.h>';
    expect(compiled(headers, [include])).toEqual(declared());
  });
});
