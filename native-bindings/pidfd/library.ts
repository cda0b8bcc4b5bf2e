import { bindFunction } from '../foreign-function.ts';
import { prototypes } from './declarations.ts';

export interface Pidfd {
  syscall(number: number, first: number, second: number, third: number, fourth: number): number;
  close(fd: number): number;
}

const libraries = ['libc.so.6'];

let bound: Pidfd | undefined;

/** Binds the calls on first use. @throws Error where libc has no such function */
export function pidfd(): Pidfd {
  bound ??= {
    syscall: bindFunction<Pidfd['syscall']>(libraries, prototypes.syscall),
    close: bindFunction<Pidfd['close']>(libraries, prototypes.close),
  };
  return bound;
}
