import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Out } from '../../native-bindings/cudart/calls.ts';
import { bindRuntime } from '../../native-bindings/cudart/library.ts';
import { createCudaDriver } from '../../native-bindings/index.ts';
import { compile, cudaDouble, noCompiler } from '../../test/native-bindings/cuda-double/build.ts';
import { type Figure, figureFrom } from '../figure.ts';

const COPY_SIZE_BYTES = 64;

export interface NativeCallsOptions {
  readonly callsPerRound: number;
  readonly rounds: number;
  readonly progress: (text: string) => void;
}

/**
 * What a call into CUDA costs beyond the call itself: the same calls by a loop in C, on the stand-in for libcudart, whose
 * functions do next to nothing. Without a compiler there is nothing to compare with, and no figure.
 */
export async function measureNativeCalls({ callsPerRound, rounds, progress }: NativeCallsOptions): Promise<Figure[]> {
  if (noCompiler !== null) {
    progress(`native calls: ${noCompiler}`);
    return [];
  }
  progress('native calls');
  const library = cudaDouble();
  const floor = loopsInC(library, callsPerRound, rounds);
  const runtime = bindRuntime(library);
  const memory = createCudaDriver({ libraryPath: library, driverLibraryPath: library }).allocate(0, COPY_SIZE_BYTES);
  const device: Out<number> = [0];
  const bytes = new Uint8Array(COPY_SIZE_BYTES);
  const calls: readonly [string, () => void][] = [
    ['cudaGetDevice, bare', () => runtime.cudaGetDevice(device)],
    ['write of 64 bytes (three calls)', () => memory.write(0, bytes)],
    ['exportHandle (two calls)', () => memory.exportHandle()],
  ];
  const figures = calls.map(([name, call], column) => {
    const product = Array.from({ length: rounds }, () => nanosecondsEach(call, callsPerRound));
    return figureFrom({ name, unit: 'ns', product, floor: floor.map((round) => round[column] ?? Number.NaN) });
  });
  memory[Symbol.dispose]();
  return figures;
}

function nanosecondsEach(call: () => void, calls: number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i += 1) call();
  return Number(process.hrtime.bigint() - start) / calls;
}

function loopsInC(library: string, calls: number, rounds: number): number[][] {
  const source = fileURLToPath(new URL('../../test/native-bindings/gpu/copy-rate.c', import.meta.url));
  const program = join(tmpdir(), `pegaflow-copy-rate-${process.pid}`);
  compile(['-O2', source, '-ldl'], program);
  try {
    const said = execFileSync(program, [library, 'call', String(calls), String(rounds)], { encoding: 'utf8' });
    return said
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
  } finally {
    rmSync(program);
  }
}
