/** In the place of `src/rpc/holder/socket-owner.ts`: the same questions to the simulated kernel, each answered a moment later. */

import type * as real from '../../../src/rpc/holder/socket-owner.ts';
import type { ConnectionAddresses } from '../../../src/rpc/link.ts';
import { kernel } from '../kernel.ts';

/** Milliseconds that a pass over /proc takes. */
const READING_MS = { from: 0.1, to: 2 };

function read<T>(look: () => T): Promise<T> {
  const { loop, random } = kernel();
  return new Promise((resolve) => {
    const delayMs = random.between(READING_MS.from, READING_MS.to);
    loop.schedule(loop.current, delayMs, 'io', () => resolve(look()));
  });
}

export function acceptedInode({ localPort }: ConnectionAddresses): Promise<string | null> {
  return read(() => {
    const connection = [...kernel().connections].find(({ addresses }) => addresses.localPort === localPort);
    return connection?.isOpenAtServer ? connection.inode : null;
  });
}

export function listeningInodes(port: number): Promise<readonly string[]> {
  return read(() =>
    kernel()
      .listenersAt(port)
      .map(({ inode }) => inode),
  );
}

export function isSocketThere(inode: string): Promise<boolean> {
  return read(() => [...kernel().connections].some((one) => one.inode === inode && one.isOpenAtServer));
}

export function pidOfSocket(inode: string): Promise<number | null> {
  return read(() => {
    const { arePidsVisible, connections } = kernel();
    const connection = [...connections].find((one) => one.inode === inode && one.isOpenAtServer);
    return arePidsVisible ? (connection?.owner?.pid ?? null) : null;
  });
}

acceptedInode satisfies typeof real.acceptedInode;
listeningInodes satisfies typeof real.listeningInodes;
isSocketThere satisfies typeof real.isSocketThere;
pidOfSocket satisfies typeof real.pidOfSocket;
