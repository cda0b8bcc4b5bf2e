import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CudaDriver } from '../../../native-bindings/index.ts';
import { compile } from '../cuda-double/build.ts';

const SOURCE = fileURLToPath(new URL('./copy-rate.c', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../../node_modules/.cache/pegaflow-tests/copy-rate', import.meta.url));

/** Nanoseconds, the fastest of all rounds: what the machine can do when nobody is in the way. */
export interface CopyTimes {
  readonly toDeviceNs: number;
  readonly toHostNs: number;
}

/** The same copies by a C program. */
export function copyTimesOfC(libraryPath: string, sizeBytes: number, rounds: number): CopyTimes {
  compile(['-O2', '-Wall', '-Werror', SOURCE, '-ldl'], PROGRAM);
  const args = [libraryPath, 'copy', String(sizeBytes), String(rounds)];
  const lines = execFileSync(PROGRAM, args, { encoding: 'utf8' }).trim().split('\n');
  return fastest(lines.map((line) => line.split(' ').map(Number)));
}

export function copyTimesOf(driver: CudaDriver, sizeBytes: number, rounds: number): CopyTimes {
  const memory = driver.allocate(0, sizeBytes);
  const host = new Uint8Array(new ArrayBuffer(sizeBytes)).fill(1);
  const times = Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    memory.write(0, host);
    const thereMs = performance.now();
    memory.read(0, host);
    return [(thereMs - startMs) * 1e6, (performance.now() - thereMs) * 1e6];
  });
  memory[Symbol.dispose]();
  return fastest(times);
}

function fastest(rounds: readonly (readonly number[])[]): CopyTimes {
  const least = (column: number): number => Math.min(...rounds.map((round) => round[column] ?? Number.NaN));
  return { toDeviceNs: least(0), toHostNs: least(1) };
}
