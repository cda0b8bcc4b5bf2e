import { promisify } from 'node:util';
import { addressOfFunction, bindFunction } from '../foreign-function.ts';
import { prototypes, SEM_WAIT } from './declarations.ts';

/** A `pthread_t` as koffi gives it. */
export type ThreadHandle = number | bigint;

export interface Pthread {
  create(thread: [ThreadHandle], attr: null, startRoutine: bigint, arg: bigint): number;
  setName(thread: ThreadHandle, name: Uint8Array): number;
  /** Waits on a thread of libuv's pool. */
  join(thread: ThreadHandle, retval: null): Promise<number>;
  sigmask(how: number, set: Uint8Array, oldSet: Uint8Array | null): number;
  semInit(sem: bigint, pshared: number, value: number): number;
  semPost(sem: bigint): number;
  semDestroy(sem: bigint): number;
  /** Where libc's own `sem_wait` lies. */
  readonly semWait: bigint;
}

/** glibc 2.34 moved these calls from libpthread into libc. */
const libraries = ['libc.so.6', 'libpthread.so.0'];

let bound: Pthread | undefined;

/** Binds the calls on first use. @throws Error where a library or a function is missing */
export function pthread(): Pthread {
  bound ??= {
    create: bindFunction<Pthread['create']>(libraries, prototypes.create),
    setName: bindFunction<Pthread['setName']>(libraries, prototypes.setName),
    join: promisify(bindFunction<(thread: ThreadHandle, retval: null) => number>(libraries, prototypes.join).async),
    sigmask: bindFunction<Pthread['sigmask']>(libraries, prototypes.sigmask),
    semInit: bindFunction<Pthread['semInit']>(libraries, prototypes.semInit),
    semPost: bindFunction<Pthread['semPost']>(libraries, prototypes.semPost),
    semDestroy: bindFunction<Pthread['semDestroy']>(libraries, prototypes.semDestroy),
    semWait: addressOfFunction(libraries, SEM_WAIT),
  };
  return bound;
}
