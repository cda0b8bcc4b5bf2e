import { readdirSync, readFileSync } from 'node:fs';

/** The names of the threads of a process, as its task list shows them. */
export const threadNamesOf = (pid: number | 'self'): string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    try {
      return [readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim()];
    } catch {
      // It has ended since the folder was read.
      return [];
    }
  });
