/** C prototypes of the shared-memory calls, with the types of 64-bit Linux: `mode_t` is `unsigned int`, `off_t` is 64 bits. */
export const prototypes = {
  shmOpen: 'int shm_open(const char *name, int oflag, unsigned int mode)',
  shmUnlink: 'int shm_unlink(const char *name)',
  ftruncate: 'int ftruncate(int fd, int64_t length)',
  /** Answers the error number itself; `errno` is not set. */
  posixFallocate: 'int posix_fallocate(int fd, int64_t offset, int64_t len)',
  /** Answers {@link MAP_FAILED} on error. */
  mmap: 'void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)',
  munmap: 'int munmap(void *addr, size_t length)',
  close: 'int close(int fd)',
} as const;

/** `PROT_READ | PROT_WRITE`, sys/mman.h. */
export const PROT_READ_WRITE = 0x1 | 0x2;
/** sys/mman.h. */
export const MAP_SHARED = 0x01;
/** `(void *)-1` as koffi gives it. */
export const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
