/**
 * Typed messages between a process and the one that spawned it. A child ends by itself when its parent's end of the
 * channel closes, so that a killed parent leaves nobody behind.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Channel<Incoming, Outgoing> {
  /** Never throws: a message to a process that is gone is lost, as its answer would be. */
  send(message: Outgoing): void;
  onMessage(listener: (message: Incoming) => void): void;
  /** The other end is gone. */
  onClosed(listener: () => void): void;
}

export interface Child<Incoming, Outgoing> extends Channel<Incoming, Outgoing> {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Settles with a word on how it ended, once it has. */
  readonly exited: Promise<string>;
}

/** This process's channel to the one that forked it. */
export function parentChannel<Incoming, Outgoing>(): Channel<Incoming, Outgoing> {
  return {
    send: (message) => {
      if (process.connected) process.send?.(message, undefined, undefined, ignoreLostMessage);
    },
    onMessage: (listener) => process.on('message', (message) => listener(message as Incoming)),
    onClosed: (listener) => process.once('disconnect', listener),
  };
}

export interface ForkOptions {
  /**
   * Keeps a terminal's Ctrl-C, which goes to the whole foreground group, away from it and from its children: their parent
   * stops them in order.
   */
  readonly ownGroup: boolean;
  /** Flags of Node, and variables beside ours. Default: those of this process. */
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the process, such as one that enters a namespace. Default none: then `pid` is the process's. */
  readonly launcher?: readonly string[];
}

/** Forks a module, given without its extension, which is that of this one. */
export function forkHost<Incoming, Outgoing>(
  module: URL,
  { ownGroup, execArgv = process.execArgv, env = {}, launcher = [] }: ForkOptions,
): Child<Incoming, Outgoing> {
  const path = fileURLToPath(module.href + extname(import.meta.url));
  const [execPath = process.execPath, ...execArgs] = [...launcher, process.execPath];
  const child = fork(path, {
    serialization: 'advanced',
    execPath,
    execArgv: [...execArgs, ...execArgv],
    env: { ...process.env, ...env },
    detached: ownGroup,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return {
    process: child,
    pid: child.pid ?? -1,
    exited: exitOf(child),
    send: (message) => {
      if (child.connected) child.send(message as object, ignoreLostMessage);
    },
    onMessage: (listener) => child.on('message', (message) => listener(message as Incoming)),
    onClosed: (listener) => child.once('disconnect', listener),
  };
}

/** Settles when the process has ended, or could not be started. */
export function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? `exit status ${code}` : signal));
    child.once('error', (error) => resolve(error.message));
  });
}

function ignoreLostMessage(): void {}
