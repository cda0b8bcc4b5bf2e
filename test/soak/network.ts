/**
 * A TCP hop in front of a server, whose conditions change while connections pass. A blackhole keeps what it stops and each
 * side's end passes by itself, as in a network that comes back; `TcpProxy` of the stories discards it, as one that does not.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export interface NetworkCondition {
  /** Milliseconds by which every chunk comes later, at least. */
  readonly delayMs: number;
  /** Milliseconds that are added to `delayMs` at random, chunk by chunk, never overtaking. */
  readonly jitterMs: number;
  /** Chunks are cut into pieces of so many bytes; 0 leaves them whole. */
  readonly sliceBytes: number;
  /** Directions in which nothing passes. What was sent is kept, as TCP would, and passes later. */
  readonly blackhole: readonly Direction[];
}

export type ToNetwork =
  | { readonly type: 'network'; readonly condition: NetworkCondition }
  | { readonly type: 'cut'; readonly how: 'close' | 'reset'; readonly share: number };

export type Direction = 'toServer' | 'toClient';

export const CLEAR: NetworkCondition = { delayMs: 0, jitterMs: 0, sliceBytes: 0, blackhole: [] };

/** Longest piece list that a chunk is cut into; what is beyond passes whole. */
const MAX_PIECES = 64;

interface Hop {
  readonly near: Socket;
  readonly far: Socket;
}

export class FaultyNetwork {
  readonly #server: Server;
  readonly #hops = new Set<Hop>();
  #condition = CLEAR;
  #changed = Promise.withResolvers<void>();

  /** Listens on `port` of the loopback interface and passes to `targetPort` of the same. */
  static async start(port: number, targetPort: number): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(targetPort);
    network.#server.listen(port, '127.0.0.1');
    await once(network.#server, 'listening');
    return network;
  }

  private constructor(targetPort: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#pass(near, targetPort));
  }

  obey(message: ToNetwork): void {
    if (message.type === 'network') this.set(message.condition);
    else this.cut(message.how, message.share, Math.random);
  }

  set(condition: NetworkCondition): void {
    this.#condition = condition;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Ends a share of the connections (0 to 1, at least one), by FIN or by RST. New ones are accepted. */
  cut(how: 'close' | 'reset', share: number, random: () => number): void {
    const hops = [...this.#hops];
    const chosen = hops.filter(() => random() < share);
    for (const { near, far } of chosen.length > 0 ? chosen : hops.slice(0, 1)) {
      for (const socket of [near, far]) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
    }
  }

  /** Accepts nobody any more; what passes goes on. */
  refuse(): void {
    this.#server.close();
  }

  #pass(near: Socket, targetPort: number): void {
    const far = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const hop = { near, far };
    this.#hops.add(hop);
    near.setNoDelay(true);
    far.setNoDelay(true);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.once('close', () => this.#hops.delete(hop));
    void this.#carry(near, far, 'toServer');
    void this.#carry(far, near, 'toClient');
  }

  /** Everything in its order, the end of the connection too. */
  async #carry(from: Socket, to: Socket, direction: Direction): Promise<void> {
    let last = Promise.resolve();
    const deliver = async (before: Promise<void>, delayed: Promise<void>, act: () => void) => {
      await before;
      await delayed;
      while (this.#condition.blackhole.includes(direction)) await this.#changed.promise;
      if (!to.destroyed) act();
    };
    const enqueue = (act: () => void) => {
      last = deliver(last, this.#delay(), act);
    };
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        for (const piece of piecesOf(chunk, this.#condition.sliceBytes)) enqueue(() => to.write(piece));
      }
      enqueue(() => to.end());
    } catch {
      enqueue(() => to.destroy());
    }
  }

  async #delay(): Promise<void> {
    const { delayMs, jitterMs } = this.#condition;
    if (delayMs + jitterMs > 0) await pause(delayMs + Math.random() * jitterMs);
  }
}

function piecesOf(chunk: Buffer, sliceBytes: number): Buffer[] {
  if (sliceBytes === 0) return [chunk];
  const length = Math.max(sliceBytes, Math.ceil(chunk.length / MAX_PIECES));
  return Array.from({ length: Math.ceil(chunk.length / length) }, (_, index) =>
    chunk.subarray(index * length, (index + 1) * length),
  );
}
