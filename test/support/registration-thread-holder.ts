import { createEmulatedDriver } from '../../native-bindings/emulated-device.ts';
import { Rank, ServerConnection } from '../../src/check/rank.ts';
import type { StandInFaults } from './stand-in-control.ts';

/**
 * Keeps the one thread of a published server that registers and drops memory busy: with a registration of its own, whose
 * memory the stand-in does not open. What else needs the thread waits behind it. In the end it fails and leaves nothing.
 */
export class RegistrationThreadHolder {
  /** What the stand-ins have to be told before {@link begin} and until {@link end}. */
  static readonly standIns: StandInFaults = { open: { isBlocked: true, error: 'the thread was held' } };

  readonly #connection: ServerConnection;
  readonly #rank: Rank;
  readonly #ended: Promise<unknown>;

  static begin(grpcAddress: string, clientVersion: string): RegistrationThreadHolder {
    const connection = new ServerConnection(`http://${grpcAddress}`);
    return new RegistrationThreadHolder(
      connection,
      new Rank(connection.client, createEmulatedDriver(), { clientVersion }),
    );
  }

  private constructor(connection: ServerConnection, rank: Rank) {
    this.#connection = connection;
    this.#rank = rank;
    this.#ended = rank.register().catch(() => {});
  }

  /** Settles when the thread is free; it has to be told so first. */
  async end(): Promise<void> {
    await this.#ended;
    this.#rank[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }
}
