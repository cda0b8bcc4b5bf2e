import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { signalProcess } from './signal-process.ts';
import { within } from './within.ts';

const SOURCE = `
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));
  process.stdin.once('end', () => process.exit()).resume();
`;

/** Longest wait for a connection on this host; after it the SYN counts as dropped. Milliseconds. */
const CONNECT_MS = 300;

/** A stopped process that listens and accepts nobody, its backlog full: the kernel drops every further SYN. */
export class FullListener implements AsyncDisposable {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #sockets: Socket[] = [];

  static async start(): Promise<FullListener> {
    const child = spawn(process.execPath, ['-e', SOURCE], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [port] = await within(10_000, 'the listener', once(createInterface(child.stdout), 'line'));
    signalProcess(child, 'SIGSTOP');
    const listener = new FullListener(child, Number(port));
    await listener.#fill(Number(port));
    return listener;
  }

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.address = `127.0.0.1:${port}`;
  }

  /** The port is free afterwards. */
  async end(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#child.kill('SIGKILL');
    if (this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #fill(port: number): Promise<void> {
    for (let attempt = 0; attempt < 16; attempt += 1) {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      this.#sockets.push(socket);
      try {
        await within(CONNECT_MS, 'the connection', once(socket, 'connect'));
      } catch {
        return;
      }
    }
    throw new Error('the backlog does not fill');
  }
}
