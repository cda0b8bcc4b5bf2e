import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerProof } from '../../src/rpc/connection.ts';
import type { ProofOfDeath } from '../../src/rpc/holder/death-watch.ts';
import { removeShmObjectsOf } from '../native-bindings/shm-objects.ts';
import { atEnd } from './own.ts';
import { eventually } from './within.ts';

const childPath = fileURLToPath(new URL('holder-child.ts', import.meta.url));

export interface HolderSetup {
  readonly endpoint: string;
  /** A server that the same memory was registered at before, and that has it still. */
  readonly before?: string;
  /** The rank asks as for memory of a CUDA device. Default: of the emulated one, as it is. */
  readonly isCuda?: boolean;
  readonly isDirect?: boolean;
}

export interface HolderMessage {
  readonly found?: ServerProof;
  readonly proof?: ProofOfDeath;
  /** The link did, and why. */
  readonly ended?: string;
}

/** Starts a rank that registers and watches for the death of its server, run by `launcher`, a command and its arguments. */
export function startWatcher(setup: HolderSetup, [command, ...args]: readonly [string, ...string[]]) {
  const child = fork(childPath, [JSON.stringify(setup)], {
    execPath: command,
    execArgv: [...args, process.execPath],
  });
  const exited = once(child, 'exit');
  atEnd(async () => {
    child.kill('SIGKILL');
    await exited;
    removeShmObjectsOf(child.pid!);
  });
  const heard: HolderMessage[] = [];
  child.on('message', (message: HolderMessage) => heard.push(message));
  const last = <Key extends keyof HolderMessage>(key: Key, what: string) =>
    eventually(what, () => heard.findLast((message) => message[key] !== undefined)?.[key] ?? null, 20_000);
  return {
    heard,
    found: () => last('found', 'a look for the holder'),
    proof: () => last('proof', 'a proof of death'),
    ended: () => last('ended', 'the end of the link'),
  };
}
