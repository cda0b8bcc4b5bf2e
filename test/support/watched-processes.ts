import { readdirSync, readlinkSync } from 'node:fs';

/** Processes whose end this one waits for. */
export function watchedProcesses(): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target === 'anon_inode:[pidfd]').length;
}

/** Whether more processes are watched than before, and no file is read any more: a watch is checked once it was begun. */
export function isProcessKnown(watchedBefore = 0): boolean {
  return watchedProcesses() > watchedBefore && !process.getActiveResourcesInfo().includes('FSReqPromise');
}
