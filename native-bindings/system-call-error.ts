import { getSystemErrorMessage, getSystemErrorName } from 'node:util';

/** A system call that said no. `code` is the errno name (`ENOENT`), `syscall` the C function that was called. */
export class SystemCallError extends Error {
  override readonly name: string = 'SystemCallError';
  readonly code: string;
  readonly syscall: string;

  /** @param subject what the call was about, put into the message: an object's name, a pid */
  constructor(code: string, syscall: string, subject: string, detail: string) {
    super(`${syscall} ${subject}: ${code}: ${detail}`);
    this.code = code;
    this.syscall = syscall;
  }
}

/** The name and the text of an errno number, for the constructors of {@link SystemCallError} and its kinds. */
export function describeErrno(errno: number): { readonly code: string; readonly detail: string } {
  return { code: getSystemErrorName(-errno), detail: getSystemErrorMessage(-errno) };
}

/** Whether `error` carries one of these errno names, as our errors and those of Node's own system calls do. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
