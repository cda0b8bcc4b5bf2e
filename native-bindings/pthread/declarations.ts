/** C prototypes of the thread calls. `pthread_t` is as wide as a pointer; the pthread calls answer the error number itself. */
export const prototypes = {
  create: 'int pthread_create(_Out_ uintptr_t *thread, const void *attr, void *start_routine, void *arg)',
  setName: 'int pthread_setname_np(uintptr_t thread, const void *name)',
  join: 'int pthread_join(uintptr_t thread, void **retval)',
  sigmask: 'int pthread_sigmask(int how, const void *set, void *oldset)',
  semInit: 'int sem_init(void *sem, int pshared, unsigned int value)',
  semPost: 'int sem_post(void *sem)',
  semDestroy: 'int sem_destroy(void *sem)',
} as const;

/**
 * `int sem_wait(sem_t *sem)`, the routine of a parked thread: it takes one pointer, as a start routine does, and nobody
 * reads what it returns. No JavaScript runs there, so the thread needs no isolate.
 */
export const SEM_WAIT = 'sem_wait';

/** `sizeof(sem_t)` on 64-bit Linux, bits/semaphore.h. */
export const SEM_SIZE_BYTES = 32;
/** `sizeof(sigset_t)`, bits/types/__sigset_t.h. */
export const SIGSET_SIZE_BYTES = 128;
/** asm-generic/signal-defs.h. */
export const SIG_SETMASK = 2;
/** linux/sched.h: what the kernel keeps of a thread's name, the terminating zero included. */
export const TASK_COMM_LEN = 16;
