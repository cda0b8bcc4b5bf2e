import { PythonClient } from '../../support/python-client.ts';
import type { PublishedVersion } from '../published-wheels.ts';

/** Processes of published clients that nobody uses at the moment: a start of Python costs more than most sequences. */
export class IdleClients implements AsyncDisposable {
  readonly #version: PublishedVersion;
  readonly #idle: PythonClient[] = [];

  constructor(version: PublishedVersion) {
    this.#version = version;
  }

  async take(): Promise<PythonClient> {
    return this.#idle.pop() ?? (await PythonClient.start(this.#version));
  }

  /** Everything in it is given back first. */
  async giveBack(client: PythonClient): Promise<void> {
    await client.value({ op: 'reset' });
    this.#idle.push(client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((client) => client[Symbol.asyncDispose]()));
  }
}
