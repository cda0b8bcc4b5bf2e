import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { within } from './within.ts';

/** Runs a command in network, mount and user namespaces of its own, where it may do to the network what it likes. */
export const NAMESPACE_LAUNCHER = ['unshare', '--user', '--map-root-user', '--net', '--'] as const;

/** Whether this host lets us make such namespaces with a pair of joined interfaces in them. */
export const hasNamespaces = (): boolean => {
  const [command, ...args] = NAMESPACE_LAUNCHER;
  return spawnSync(command, [...args, 'ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far']).status === 0;
};

/** Runs a command where it sees no process of this host but its own; it ends with the launcher. */
export const BLIND_LAUNCHER = [
  ...['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
] as const;

export const canBlind = (): boolean => spawnSync(BLIND_LAUNCHER[0], [...BLIND_LAUNCHER.slice(1), 'true']).status === 0;

const ip = (...args: readonly string[]) => execFileSync('ip', args);

const NEAR = '10.9.0.1';
const FAR = '10.9.0.2';

/** A second namespace behind a wire that can be cut so that nobody is told. For use inside {@link NAMESPACE_LAUNCHER}. */
export class FarSide implements AsyncDisposable {
  readonly host = FAR;
  /** Runs a command on the far side. */
  readonly launcher: readonly string[];
  readonly #keeper: ReturnType<typeof spawn>;

  static async open(): Promise<FarSide> {
    const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo here; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await within(10_000, 'the far side', once(createInterface(keeper.stdout), 'line'));
    return new FarSide(keeper);
  }

  private constructor(keeper: ReturnType<typeof spawn>) {
    this.#keeper = keeper;
    this.launcher = ['nsenter', `--net=/proc/${keeper.pid}/ns/net`, '--'];
    const onFarSide = (...args: string[]) =>
      execFileSync(this.launcher[0]!, [...this.launcher.slice(1), 'ip', ...args]);
    ip('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', `${keeper.pid}`);
    ip('address', 'add', `${NEAR}/24`, 'dev', 'near');
    for (const name of ['lo', 'near']) ip('link', 'set', name, 'up');
    onFarSide('address', 'add', `${FAR}/24`, 'dev', 'far');
    for (const name of ['lo', 'far']) onFarSide('link', 'set', name, 'up');
  }

  /** From now on frames to the far side carry an address that nobody there has: they are dropped without a word. */
  loseEverything(): void {
    ip('neighbour', 'replace', FAR, 'lladdr', '02:00:00:00:00:99', 'dev', 'near', 'nud', 'permanent');
  }

  loseNothing(): void {
    ip('neighbour', 'delete', FAR, 'dev', 'near');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.kill('SIGKILL');
    if (this.#keeper.signalCode === null) await once(this.#keeper, 'exit');
  }
}
