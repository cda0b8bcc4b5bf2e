import { constants, fstatSync, statfsSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { hasCode } from '../system-call-error.ts';
import { check, ShmError, shmErrorFrom } from './check.ts';
import { MAP_SHARED, PROT_READ_WRITE } from './declarations.ts';
import { posixShm } from './library.ts';

/** Where Linux shows shared-memory objects as files. */
export const SHM_DIRECTORY = '/dev/shm';

/** Read and write for the owner's user only, so that both sides of an object run as the same user (or root). */
const OWNER_ONLY = 0o600;

/** A signal restarts a reservation from nothing, so it is made in pieces that a profiler's timer leaves time for. */
const RESERVE_STEP_BYTES = 2 * 1024 * 1024;

/** Creates and opens the object. @returns the descriptor, which the caller closes */
export function createObject(name: string): number {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR;
  return check(posixShm().shmOpen(shmPath(name), flags, OWNER_ONLY), 'shm_open', name);
}

/** Opens an existing object. @returns the descriptor, which the caller closes */
export function openObject(name: string): number {
  return check(posixShm().shmOpen(shmPath(name), constants.O_RDWR, 0), 'shm_open', name);
}

/** Removes the name; mappings keep the memory. An object that is already gone is not an error. */
export function unlinkObject(name: string): void {
  try {
    check(posixShm().shmUnlink(shmPath(name)), 'shm_unlink', name);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

export function closeDescriptor(fd: number, name: string): void {
  check(posixShm().close(fd), 'close', name);
}

export function objectSizeBytes(fd: number): number {
  return fstatSync(fd).size;
}

/**
 * Sets the size and takes the memory now: without it a write into a full `/dev/shm` (64 MiB in a default container)
 * kills the process with SIGBUS instead of failing here with `ENOSPC`.
 */
export function reserve(fd: number, name: string, sizeBytes: number): void {
  check(posixShm().ftruncate(fd, sizeBytes), 'ftruncate', name);
  const { blocks, bavail, bsize } = statfsSync(SHM_DIRECTORY);
  const isLimited = blocks > 0;
  if (isLimited && sizeBytes > bavail * bsize) {
    throw new ShmError('ENOSPC', 'posix_fallocate', name, `${sizeBytes} bytes wanted, ${bavail * bsize} bytes free`);
  }
  for (let offset = 0; offset < sizeBytes; ) {
    const stepBytes = Math.min(RESERVE_STEP_BYTES, sizeBytes - offset);
    const errno = posixShm().posixFallocate(fd, offset, stepBytes);
    if (errno === 0) offset += stepBytes;
    else if (errno !== osConstants.errno.EINTR) throw shmErrorFrom(errno, 'posix_fallocate', name);
  }
}

/** Maps the first `sizeBytes` bytes for reading and writing. @returns the address, for {@link unmapObject} */
export function mapObject(fd: number, name: string, sizeBytes: number): bigint {
  return check(posixShm().mmap(null, sizeBytes, PROT_READ_WRITE, MAP_SHARED, fd, 0), 'mmap', name);
}

export function unmapObject(address: bigint, name: string, sizeBytes: number): void {
  check(posixShm().munmap(address, sizeBytes), 'munmap', name);
}

/** glibc cuts a C string at a NUL and skips leading slashes, so both would name another object than was asked for. */
function shmPath(name: string): string {
  if (name === '' || name.includes('/') || name.includes('\0')) {
    throw new ShmError('EINVAL', 'shm_open', JSON.stringify(name), 'a name has no slash and no NUL and is not empty');
  }
  return `/${name}`;
}
