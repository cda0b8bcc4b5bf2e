/** C prototypes of the process descriptor calls. `pid_t` is `int`; glibc has a wrapper of pidfd_open(2) since 2.36 only. */
export const prototypes = {
  syscall: 'long syscall(long number, long first, long second, long third, long fourth)',
  close: 'int close(int fd)',
} as const;

/** asm/unistd.h; one number on every architecture, because these are younger than the common table (Linux 5.1 and 5.3). */
export const SYS_PIDFD_SEND_SIGNAL = 424;
export const SYS_PIDFD_OPEN = 434;
export const SIGKILL = 9;
