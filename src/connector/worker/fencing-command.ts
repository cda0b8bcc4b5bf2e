import { spawn } from 'node:child_process';
import { errorText } from '../../error-text.ts';

export type FencingCommand = readonly [command: string, ...args: readonly string[]];

interface FencedServer {
  /** Of the server's processes; empty where none is seen. */
  readonly pids: readonly number[];
  /** `host:port` */
  readonly address: string;
}

/**
 * Runs a command without a shell, with the server in its environment: `PEGAFLOW_SERVER_PID` (several with blanks between, empty where none
 * is seen) and `PEGAFLOW_SERVER_ADDRESS`. After `timeoutMs` it is killed with all that it started. How it ends says nothing of
 * the server; `onProblem` is told where it could not be started, or was killed.
 */
export function runFencingCommand(
  [command, ...args]: FencingCommand,
  { pids, address }: FencedServer,
  timeoutMs: number,
  onProblem: (problem: string) => void,
): void {
  const cannotStart = (error: unknown) => onProblem(`its command ${command} cannot be started: ${errorText(error)}`);
  const env = { ...process.env, PEGAFLOW_SERVER_PID: pids.join(' '), PEGAFLOW_SERVER_ADDRESS: address };
  try {
    // A process group of its own: what it started ends with it.
    const child = spawn(command, args, { env, stdio: 'ignore', detached: true });
    child.unref();
    const bound = setTimeout(() => {
      killGroup(child.pid);
      onProblem(`its command ${command} did not end in ${timeoutMs} ms and was killed`);
    }, timeoutMs).unref();
    child.once('exit', () => clearTimeout(bound));
    child.once('error', (error) => {
      clearTimeout(bound);
      cannotStart(error);
    });
  } catch (error) {
    cannotStart(error);
  }
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
