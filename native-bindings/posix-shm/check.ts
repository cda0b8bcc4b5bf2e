import { lastErrno } from '../foreign-function.ts';
import { describeErrno, SystemCallError } from '../system-call-error.ts';
import { MAP_FAILED } from './declarations.ts';

/** A refused operation on a shared-memory object: `code` is the errno name, `syscall` the call, the message names the object. */
export class ShmError extends SystemCallError {
  override readonly name = 'ShmError';
}

/** The error for an errno number that `syscall` left or answered. */
export function shmErrorFrom(errno: number, syscall: string, objectName: string): ShmError {
  const { code, detail } = describeErrno(errno);
  return new ShmError(code, syscall, objectName, detail);
}

/** Passes the result of a call on, unless it is the failure value. @throws ShmError */
export function check<R extends number | bigint>(result: R, syscall: string, objectName: string): R {
  if (result === -1 || result === MAP_FAILED) throw shmErrorFrom(lastErrno(), syscall, objectName);
  return result;
}
