import { constants } from 'node:os';
import { LoadState } from '../../../native-bindings/load-state.ts';
import { SystemCallError } from '../../../native-bindings/system-call-error.ts';
import type { LoadStateHandle } from './transfers.ts';

const errnoByName: Readonly<Record<string, number>> = constants.errno;

/** The record of a load by its name, which may have leading slashes. Throws in the words of the server. */
export const attachLoadRecord = (name: string): LoadStateHandle => {
  try {
    return LoadState.attach(name.replace(/^\/+/, ''));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const errno = errnoByName[error.code] ?? constants.errno.EINVAL;
    throw new Error(`failed to open shared memory: Opening the shared memory failed, os error ${errno}`, {
      cause: error,
    });
  }
};
