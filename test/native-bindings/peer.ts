import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { DriverKind } from './device-drivers.ts';
import type { PeerReply, PeerRequest } from './device-peer-protocol.ts';

const PEER_MODULE = fileURLToPath(new URL('./device-peer.ts', import.meta.url));

/** A call that the peer's code refused, with the name and the code that its error had there. */
class PeerRefusal extends Error {
  readonly code: string;

  constructor({ name, code, message }: Extract<PeerReply, { refused: unknown }>['refused']) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/** Another process with a device driver of its own. One call at a time. */
export class Peer {
  readonly #child: ChildProcess;

  constructor(kind: DriverKind) {
    this.#child = fork(PEER_MODULE, [kind], { execArgv: [] });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the peer did not start');
    return this.#child.pid;
  }

  async allocate(deviceId: number, sizeBytes: number): Promise<{ readonly id: number; readonly handle: Uint8Array }> {
    const id = await this.#idOf({ call: 'allocate', deviceId, sizeBytes });
    return { id, handle: await this.#bytesOf({ call: 'exportHandle', id }) };
  }

  async openHandle(deviceId: number, handle: Uint8Array): Promise<number> {
    return this.#idOf({ call: 'openHandle', deviceId, handle: Buffer.from(handle).toString('hex') });
  }

  async write(id: number, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#ask({ call: 'write', id, offset, bytes: Buffer.from(bytes).toString('hex') });
  }

  async read(id: number, offset: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#bytesOf({ call: 'read', id, offset, lengthBytes });
  }

  async writePattern(id: number, sizeBytes: number, seed: number): Promise<void> {
    await this.#ask({ call: 'writePattern', id, sizeBytes, seed });
  }

  async countWrongBytes(id: number, sizeBytes: number, seed: number): Promise<number> {
    const { count } = await this.#ask({ call: 'countWrongBytes', id, sizeBytes, seed });
    if (count === undefined) throw new Error('no count came back');
    return count;
  }

  /** @returns the name of a record that lives until the peer ends */
  async createLoadState(): Promise<string> {
    const { text = '' } = await this.#ask({ call: 'createLoadState' });
    return text;
  }

  /** Attaches to a record and keeps it. */
  async attachLoadState(name: string): Promise<void> {
    await this.#ask({ call: 'attachLoadState', name });
  }

  async signalLoadState(name: string, outcome: 1 | -1): Promise<void> {
    await this.#ask({ call: 'signalLoadState', name, outcome });
  }

  async dispose(id: number): Promise<void> {
    await this.#ask({ call: 'dispose', id });
  }

  /** Lets it end by itself, so that what it holds is freed. */
  async stop(): Promise<void> {
    await this.#end(() => this.#child.disconnect());
  }

  /** Ends it at once; what it holds in shared memory stays behind. */
  async kill(): Promise<void> {
    await this.#end(() => this.#child.kill('SIGKILL'));
  }

  async #end(begin: () => void): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    begin();
    await exited;
  }

  async #idOf(request: PeerRequest): Promise<number> {
    const { id } = await this.#ask(request);
    if (id === undefined) throw new Error(`no number came back from ${request.call}`);
    return id;
  }

  async #bytesOf(request: PeerRequest): Promise<Uint8Array> {
    const { text } = await this.#ask(request);
    if (text === undefined) throw new Error(`no bytes came back from ${request.call}`);
    return Uint8Array.from(Buffer.from(text, 'hex'));
  }

  async #ask(request: PeerRequest): Promise<Exclude<PeerReply, { refused: unknown }>> {
    const abort = new AbortController();
    const ended = once(this.#child, 'exit', { signal: abort.signal }).then(() => {
      throw new Error(`the peer ended during ${request.call}`);
    });
    try {
      this.#child.send(request);
      const [reply] = (await Promise.race([once(this.#child, 'message', { signal: abort.signal }), ended])) as [
        PeerReply,
      ];
      if ('refused' in reply) throw new PeerRefusal(reply.refused);
      return reply;
    } finally {
      ended.catch(() => {});
      abort.abort();
    }
  }
}
