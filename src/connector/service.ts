import type { Announcement, Epoch } from '../../machines/index.ts';
import type { Connection, ServerLink } from '../rpc/connection.ts';

export type Server = Pick<ServerLink, 'call'>;

/** What the scheduler's machine says at this moment. */
export interface Service {
  readonly announcement: Announcement;
  /** Set exactly while the cache may be used. */
  readonly epoch: Epoch | null;
}

export interface ServiceOptions {
  readonly connection: Pick<Connection, 'isUp'> & { readonly server: Server };
  readonly service: () => Service;
}
