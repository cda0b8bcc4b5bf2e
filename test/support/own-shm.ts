import { spawnSync } from 'node:child_process';

/**
 * Runs a command with a /dev/shm of its own, as another container has it. The device memory that exists by then is in both: on a
 * GPU it is not there at all.
 */
export const OWN_SHM_LAUNCHER = [
  ...['unshare', '--user', '--map-root-user', '--mount', '--', 'sh', '-ec'],
  `host=$(mktemp -d)
  mount --rbind /dev/shm "$host"
  mount -t tmpfs tmpfs /dev/shm
  for object in "$host"/pegaflow_dev_*; do
    [ -e "$object" ] || continue
    touch "/dev/shm/\${object##*/}"
    mount --bind "$object" "/dev/shm/\${object##*/}"
  done
  umount -l "$host"
  rmdir "$host"
  exec "$@"`,
  'own-shm',
] as const;

export const canOwnShm = (): boolean =>
  spawnSync(OWN_SHM_LAUNCHER[0], [...OWN_SHM_LAUNCHER.slice(1), 'true']).status === 0;
