import { bindFunction, koffi } from '../foreign-function.ts';
import { prototypes } from './declarations.ts';

/** The calls of declarations.ts, typed, and `view`, which lays an `ArrayBuffer` over mapped memory. */
export interface PosixShm {
  shmOpen(name: string, oflag: number, mode: number): number;
  shmUnlink(name: string): number;
  ftruncate(fd: number, lengthBytes: number): number;
  posixFallocate(fd: number, offsetBytes: number, lengthBytes: number): number;
  mmap(address: null, lengthBytes: number, prot: number, flags: number, fd: number, offsetBytes: number): bigint;
  munmap(address: bigint, lengthBytes: number): number;
  close(fd: number): number;
  /** Touching the result after `munmap` is a segmentation fault, so its holder drops it first. */
  view(address: bigint, lengthBytes: number): ArrayBuffer;
}

/** glibc 2.34 moved `shm_open` from librt into libc. */
const libraries = ['libc.so.6', 'librt.so.1'];

let bound: PosixShm | undefined;

/** Binds the calls on first use. @throws Error where a library or a function is missing. */
export function posixShm(): PosixShm {
  bound ??= {
    shmOpen: bindFunction<PosixShm['shmOpen']>(libraries, prototypes.shmOpen),
    shmUnlink: bindFunction<PosixShm['shmUnlink']>(libraries, prototypes.shmUnlink),
    ftruncate: bindFunction<PosixShm['ftruncate']>(libraries, prototypes.ftruncate),
    posixFallocate: bindFunction<PosixShm['posixFallocate']>(libraries, prototypes.posixFallocate),
    mmap: bindFunction<PosixShm['mmap']>(libraries, prototypes.mmap),
    munmap: bindFunction<PosixShm['munmap']>(libraries, prototypes.munmap),
    close: bindFunction<PosixShm['close']>(libraries, prototypes.close),
    view: (address, lengthBytes) => koffi().view(address, lengthBytes),
  };
  return bound;
}
