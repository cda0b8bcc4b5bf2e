import { koffi, lastErrno } from './foreign-function.ts';
import { SYS_PIDFD_OPEN } from './pidfd/declarations.ts';
import { pidfd } from './pidfd/library.ts';
import { describeErrno, SystemCallError } from './system-call-error.ts';

/** A process that cannot be watched: `ENOSYS` before Linux 5.3, `EPERM` in some sandboxes, `EMFILE` when out of descriptors. */
export class ProcessWatchError extends SystemCallError {
  override readonly name = 'ProcessWatchError';
}

export interface ProcessExitWatch extends Disposable {
  /** Resolves when the process has exited; stays pending for ever once the watch is disposed. Never rejects. */
  readonly exited: Promise<void>;
  /** True from the moment that `exited` resolved: the event loop has to turn once for the news to arrive. */
  readonly hasExited: boolean;
}

/**
 * Tells when a process is gone. The kernel says so after every thread of it has ended and all its files are closed, the
 * descriptors of a GPU among them; whether its parent has collected it does not matter. A pid that names no process counts
 * as exited. The watch does not keep the event loop alive.
 * @throws ProcessWatchError where the kernel cannot or may not watch it
 */
export function watchProcessExit(pid: number): ProcessExitWatch {
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  let hasExited = false;
  const settle = (): void => {
    hasExited = true;
    resolve();
  };

  const fd = openPidfd(pid);
  const stop = fd === null ? undefined : whenReadable(fd, settle);
  if (fd === null) settle();

  return {
    exited,
    get hasExited() {
      return hasExited;
    },
    [Symbol.dispose]: () => stop?.(),
  };
}

/** @returns a descriptor that becomes readable when the process has exited; `null` where there is no such process */
function openPidfd(pid: number): number | null {
  const fd = pidfd().syscall(SYS_PIDFD_OPEN, pid, 0);
  if (fd >= 0) return fd;
  const { code, detail } = describeErrno(lastErrno());
  if (code === 'ESRCH') return null;
  throw new ProcessWatchError(code, 'pidfd_open', `pid ${pid}`, detail);
}

/** Calls back once, when `fd` is readable, and closes it then or when the returned function is called, whichever is first. */
function whenReadable(fd: number, callback: () => void): () => void {
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    handle.close();
    pidfd().close(fd);
  };
  const handle = koffi().node.poll(fd, { readable: true }, () => {
    close();
    callback();
  });
  handle.unref();
  return close;
}
