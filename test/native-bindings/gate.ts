import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';

const MAKE_PIPE = 'mkfifo';

/** Holds every call of the stand-in for libcudart that synchronizes, on whatever thread, until it is opened. */
export class Gate implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pegaflow-gate-'));
  readonly #pipe: number;

  constructor() {
    const path = join(this.#folder, 'gate');
    execFileSync(MAKE_PIPE, [path]);
    this.#pipe = openSync(path, 'r+');
    vi.stubEnv('CUDA_DOUBLE_GATE', path);
  }

  /** For good. */
  open(): void {
    writeSync(this.#pipe, 'open');
  }

  [Symbol.dispose](): void {
    vi.unstubAllEnvs();
    closeSync(this.#pipe);
    rmSync(this.#folder, { recursive: true });
  }
}
