import { type Announcement, type Epoch, isSameEpoch } from '../../../machines/index.ts';
import type { Connection, ServerLink } from '../../rpc/connection.ts';

export type Server = Pick<ServerLink, 'call'>;

/** What the scheduler's machine says at this moment. */
export interface Service {
  readonly announcement: Announcement;
  /** Set exactly while the cache may be used. */
  readonly epoch: Epoch | null;
  /** So much memory is held for a server that is silent or gone that no more is put at risk. */
  readonly isAtHeldLimit: boolean;
}

export interface ServiceOptions {
  readonly connection: Pick<Connection, 'isUp'> & { readonly server: Server };
  readonly service: () => Service;
}

/** Whether the cache may be used with what this epoch gave. */
export function isServing({ epoch }: Service, wanted: Epoch): boolean {
  return epoch !== null && isSameEpoch(epoch, wanted);
}
