/** C prototypes of the process descriptor calls. `pid_t` is `int`; glibc has a wrapper of pidfd_open(2) since 2.36 only. */
export const prototypes = {
  syscall: 'long syscall(long number, long first, long second)',
  close: 'int close(int fd)',
} as const;

/** asm/unistd.h; one number on every architecture, because it is younger than the common table (Linux 5.3). */
export const SYS_PIDFD_OPEN = 434;
