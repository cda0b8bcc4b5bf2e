import { koffi, lastErrno } from '../foreign-function.ts';
import { describeErrno, SystemCallError } from '../system-call-error.ts';
import { SIGKILL, SYS_PIDFD_OPEN, SYS_PIDFD_SEND_SIGNAL } from './declarations.ts';
import { pidfd } from './library.ts';

/**
 * A process that cannot be watched: `ENOSYS` before Linux 5.3, `EPERM` in some sandboxes, `EMFILE` when out of descriptors. Or
 * one that cannot be killed: `EPERM` where it is another user's.
 */
export class ProcessWatchError extends SystemCallError {
  override readonly name = 'ProcessWatchError';
}

export interface ProcessExitWatch extends Disposable {
  /** Resolves when the process has exited; stays pending for ever once the watch is disposed. Never rejects. */
  readonly exited: Promise<void>;
  /** True from the moment that `exited` resolved: the event loop has to turn once before it is told. */
  readonly hasExited: boolean;
  /**
   * Sends SIGKILL to this very process; nothing to one that has exited, whoever has its pid by now.
   * @throws ProcessWatchError where that is not allowed
   */
  kill(): void;
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
  const descriptor = fd === null ? undefined : whenReadable(fd, settle);
  if (fd === null) settle();

  return {
    exited,
    get hasExited() {
      return hasExited;
    },
    kill: () => {
      if (descriptor?.isOpen) sendKill(descriptor.fd, pid);
    },
    [Symbol.dispose]: () => descriptor?.close(),
  };
}

function sendKill(fd: number, pid: number): void {
  if (pidfd().syscall(SYS_PIDFD_SEND_SIGNAL, fd, SIGKILL, 0, 0) === 0) return;
  const { code, detail } = describeErrno(lastErrno());
  if (code !== 'ESRCH') throw new ProcessWatchError(code, 'pidfd_send_signal', `pid ${pid}`, detail);
}

/** @returns a descriptor that becomes readable when the process has exited; `null` where there is no such process */
function openPidfd(pid: number): number | null {
  const fd = pidfd().syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0);
  if (fd >= 0) return fd;
  const { code, detail } = describeErrno(lastErrno());
  if (code === 'ESRCH') return null;
  throw new ProcessWatchError(code, 'pidfd_open', `pid ${pid}`, detail);
}

interface Descriptor {
  readonly fd: number;
  readonly isOpen: boolean;
  close(): void;
}

/** Calls back once, when `fd` is readable, and closes it then or when it is told to, whichever is first. */
function whenReadable(fd: number, callback: () => void): Descriptor {
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
  return {
    fd,
    get isOpen() {
      return isOpen;
    },
    close,
  };
}
