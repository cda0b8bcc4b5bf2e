import {
  type Budgets,
  type FencingReason,
  type NoProof,
  type PassedOnByRank,
  proofInWords,
} from '../../../machines/index.ts';
import { errorText } from '../../error-text.ts';
import { ioFirstTimer } from '../../io-first-timer.ts';
import type { DeathWatch } from '../../rpc/holder/death-watch.ts';
import type { HolderWatch } from '../../rpc/holder/holder-watch.ts';
import { type FencingCommand, runFencingCommand } from './fencing-command.ts';

/**
 * What brings about the death of a server that may still touch blocks and is not heard.
 * - `off`: nothing
 * - `kill`: SIGKILL to the process that is proved to hold the memory
 * - a command with its arguments, run without a shell
 */
export type Fencing = 'off' | 'kill' | FencingCommand;

/** Throws a TypeError where `fencing` can be no such thing. */
export function checkFencing(fencing: unknown): void {
  if (fencing === undefined || fencing === 'off' || fencing === 'kill') return;
  const isWord = (word: unknown): word is string => typeof word === 'string' && !word.includes('\0');
  if (Array.isArray(fencing) && fencing.every(isWord) && fencing.length > 0 && fencing[0] !== '') return;
  const given = typeof fencing === 'string' ? `"${fencing}"` : (JSON.stringify(fencing) ?? String(fencing));
  throw new TypeError(`fencing must be "off", "kill" or a command such as ["/usr/local/bin/fence"], not ${given}`);
}

/** A load or save whose link or answer is gone. One object for as long as that is so. */
export interface Doubtful {
  /** Whose death would end it. */
  readonly death: DeathWatch;
}

/** What the links of a rank have brought. */
export interface Hearing {
  /** The link in use answers, as far as its pings have shown. */
  readonly isUp: boolean;
  /** On all links so far. */
  readonly bytesRead: number;
}

export interface FencerOptions {
  readonly fencing: Fencing;
  /** Of the server, `host:port`, for the command. */
  readonly address: string;
  readonly budgets: Budgets;
  readonly inDoubt: () => readonly Doubtful[];
  readonly hearing: () => Hearing;
  readonly onEvent: (event: PassedOnByRank) => void;
}

/** What is known from look to look while something is in doubt. Looks are counted, not time: a stall of our own is one look late. */
interface Watch {
  readonly bytesRead: number;
  readonly wasUp: boolean;
  /** In a row, without a byte and without a link that is up. */
  readonly silentLooks: number;
  /** How many looks each has been in doubt. */
  readonly ages: ReadonlyMap<Doubtful, number>;
}

/** In the shorter of the two waits. */
const LOOKS = 10;

/**
 * Fences a server while loads or saves of this rank are in doubt: where nothing was heard of it for `fencingSilenceMs` on any link, old or
 * new, or where one of them has been in doubt for `fencingStuckMs` although it answers. Each process once. It proves
 * nothing by itself: only the death does, and a process that does not die stays unproved.
 */
export class Fencer {
  #options: FencerOptions;
  #watch: Watch | null = null;
  #cancelLook = () => {};
  /** Watched until they are dead, so that nobody else has their pids. */
  #fenced = new Map<number, HolderWatch>();
  /** Of processes that nobody sees: the command was run for them. */
  #fencedUnseen = new WeakSet<DeathWatch>();
  #told = new Set<string>();
  #isDisposed = false;

  constructor(options: FencerOptions) {
    this.#options = options;
  }

  /** Something came in doubt, or is not any more. */
  review(): void {
    const { fencing, inDoubt, hearing } = this.#options;
    if (fencing === 'off' || this.#isDisposed || this.#watch !== null || inDoubt().length === 0) return;
    const { isUp, bytesRead } = hearing();
    this.#watch = { bytesRead, wasUp: isUp, silentLooks: 0, ages: new Map() };
    this.#lookLater();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#cancelLook();
    for (const holder of this.#fenced.values()) holder[Symbol.dispose]();
    this.#fenced.clear();
  }

  get #lookIntervalMs(): number {
    const { fencingSilenceMs, fencingStuckMs } = this.#options.budgets;
    return Math.min(fencingSilenceMs, fencingStuckMs ?? fencingSilenceMs) / LOOKS;
  }

  #lookLater(): void {
    this.#cancelLook = ioFirstTimer(this.#lookIntervalMs, () => this.#look());
  }

  #look(): void {
    const { budgets, hearing, inDoubt } = this.#options;
    const { fencingSilenceMs, fencingStuckMs } = budgets;
    const doubtful = inDoubt();
    if (this.#watch === null || doubtful.length === 0) {
      this.#watch = null;
      return;
    }
    this.#watch = afterLook(this.#watch, hearing(), doubtful);
    const { silentLooks, ages } = this.#watch;
    const lasts = (looks: number, durationMs: number) => looks * this.#lookIntervalMs >= durationMs;
    if (lasts(silentLooks, fencingSilenceMs)) this.#fence(doubtful, 'silence', fencingSilenceMs);
    else if (fencingStuckMs !== null) {
      const stuck = doubtful.filter((one) => lasts(ages.get(one) ?? 0, fencingStuckMs));
      if (stuck.length > 0) this.#fence(stuck, 'stuck', fencingStuckMs);
    }
    this.#lookLater();
  }

  #fence(doubtful: readonly Doubtful[], reason: FencingReason, afterMs: number): void {
    const deaths = [...new Set(doubtful.map(({ death }) => death))];
    const holders = deaths.flatMap(({ holder }) => (holder === null || holder.hasExited ? [] : [holder]));
    const due = [...new Set(holders)].filter(({ pids }) => !pids.every((pid) => this.#fenced.has(pid)));
    for (const holder of due) this.#remember(holder);
    const pids = [...new Set(due.flatMap((holder) => holder.pids))];
    const unseen = deaths.filter(({ noProof }) => noProof !== null);
    const { fencing } = this.#options;
    if (fencing === 'kill') {
      for (const { noProof } of unseen) if (noProof !== null) this.#tellOnce(unseenProblem(noProof));
      if (pids.length > 0) this.#kill(due, { type: 'server.fenced', by: 'kill', pids, reason, afterMs });
      return;
    }
    if (fencing === 'off') return;
    const isNew = unseen.some((death) => !this.#fencedUnseen.has(death));
    for (const death of unseen) this.#fencedUnseen.add(death);
    if (pids.length === 0 && !isNew) return;
    const { address, budgets, onEvent } = this.#options;
    onEvent({ type: 'server.fenced', by: 'command', pids, reason, afterMs });
    runFencingCommand(fencing, { pids, address }, budgets.fencingCommandTimeoutMs, (problem) => this.#tell(problem));
  }

  #kill(holders: readonly HolderWatch[], fenced: PassedOnByRank): void {
    try {
      for (const holder of holders) holder.kill();
      this.#options.onEvent(fenced);
    } catch (error) {
      this.#tell(`it cannot be killed: ${errorText(error)}; ${WAYS_OUT}`);
    }
  }

  #remember(holder: HolderWatch): void {
    holder.retain();
    for (const pid of holder.pids) this.#fenced.set(pid, holder);
    void holder.exited.then(() => {
      holder[Symbol.dispose]();
      for (const pid of holder.pids) this.#fenced.delete(pid);
    });
  }

  #tellOnce(problem: string): void {
    if (this.#told.has(problem)) return;
    this.#told.add(problem);
    this.#tell(problem);
  }

  #tell(problem: string): void {
    if (!this.#isDisposed) this.#options.onEvent({ type: 'fencing.failed', problem });
  }
}

function afterLook(before: Watch, { isUp, bytesRead }: Hearing, doubtful: readonly Doubtful[]): Watch {
  const isHeard = before.wasUp || isUp || bytesRead !== before.bytesRead;
  const ages = new Map(doubtful.map((one) => [one, (before.ages.get(one) ?? 0) + 1]));
  return { bytesRead, wasUp: isUp, silentLooks: isHeard ? 0 : before.silentLooks + 1, ages };
}

const WAYS_OUT =
  'run the connector as the user of the server and in its PID namespace, without a proxy between, or let fencing be a command';

function unseenProblem(reason: NoProof): string {
  return `nothing can be killed (proof: ${proofInWords(reason)}): ${WAYS_OUT}`;
}
