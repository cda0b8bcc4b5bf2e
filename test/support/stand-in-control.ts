import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How one kind of call to a stand-in goes wrong. */
interface StandInFault {
  /** The call waits until the fault is lifted. */
  readonly isBlocked?: boolean;
  /** How many calls this holds for. Default: all. */
  readonly times?: number;
}

interface CopyFault extends StandInFault {
  /** Microseconds before the copy. Default 0. */
  readonly delayUs?: number;
  /** The `CUresult` that it ends with, such as 700 for an illegal address. Default 0. */
  readonly error?: number;
}

interface OpenFault extends StandInFault {
  /** Milliseconds before the memory of a layer is opened. Default 0. */
  readonly delayMs?: number;
  /** What `to_tensor` raises. Default: nothing. */
  readonly error?: string;
}

interface CloseFault extends StandInFault {
  /** Milliseconds before the memory of a layer is closed. Default 0. */
  readonly delayMs?: number;
  /** Milliseconds for which closed memory stays mapped. Default 0. */
  readonly keepMs?: number;
}

/** What goes wrong in the stand-ins for CUDA and torch below a published server. */
export interface StandInFaults {
  /** One block of one layer and segment, from the pool to a device. */
  readonly copyToDevice?: CopyFault;
  readonly copyFromDevice?: CopyFault;
  /** The memory of the pool, at the start of the server. */
  readonly hostAllocation?: CopyFault;
  /** The memory of one layer, in the thread that registers. */
  readonly open?: OpenFault;
  /** The memory of one layer, in the thread that registers. */
  readonly close?: CloseFault;
}

const NAMES = {
  copyToDevice: 'copy_to_device',
  copyFromDevice: 'copy_from_device',
  hostAllocation: 'host_allocation',
  open: 'open',
  close: 'close',
} as const;

const FIELDS = {
  delayUs: 'delay_us',
  delayMs: 'delay_ms',
  keepMs: 'keep_ms',
  isBlocked: 'block',
  error: 'error',
  times: 'times',
} as const;

/** The file by which the stand-ins of one server are told what goes wrong; see `test/real/stand-ins/control.h`. */
export class StandInControl implements Disposable {
  readonly path: string;
  readonly #folder: string;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'pegaflow-stand-ins-'));
    this.path = join(this.#folder, 'control');
    this.set({});
  }

  /** Replaces what went wrong before. */
  set(faults: StandInFaults): void {
    const lines = Object.entries(faults).flatMap(([call, fault]) =>
      Object.entries(fault as object).map(
        ([field, value]) =>
          `${NAMES[call as keyof StandInFaults]}.${FIELDS[field as keyof typeof FIELDS]} ${typeof value === 'string' ? value : Number(value)}\n`,
      ),
    );
    const next = `${this.path}.new`;
    writeFileSync(next, lines.join(''));
    renameSync(next, this.path);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
