import { Code, type ConnectError } from '@connectrpc/connect';
import type { Budgets, Fault } from '../../machines/index.ts';
import type { Instance, Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import { Violation } from './violation.ts';

/** Refusals in the same words after which saves are turned off. */
const REFUSALS_TO_OPEN = 2;

interface Moved {
  readonly path: string;
  readonly fault: Fault | null;
}

/** Looks at what refusals do: to the breaker that counts them, and to the registration, of which they say nothing. */
export class RefusalWatch {
  #kernel: Kernel;
  /** Refused saves, by rank, whichever process or memory it has, and words. */
  #refused = new Map<string, number>();
  #wereOpen = new WeakMap<object, boolean>();
  #moved = new WeakMap<object, Moved>();
  /** When a worker called its registration lost because a copy had failed, in milliseconds. */
  #lostMs = new WeakMap<object, number>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  saveRefused({ shape }: Instance, { index }: Rank, { code, rawMessage }: ConnectError): void {
    const name = nameOf(shape.instanceId, index, `${Code[code]}: ${rawMessage}`);
    this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1);
  }

  schedulerMoved({ ranks, scheduler, shape }: Instance): void {
    const open = scheduler.status.openBreakers.find(({ breaker }) => breaker === 'saves');
    const wasOpen = this.#wereOpen.get(scheduler) ?? false;
    this.#wereOpen.set(scheduler, open !== undefined);
    // What a rank has not even sent no server has refused.
    if (open === undefined || wasOpen || open.fault.message.startsWith('not sent')) return;
    const { message } = open.fault;
    const counts = ranks.map(({ index }) => this.#refused.get(nameOf(shape.instanceId, index, message)) ?? 0);
    if (counts.some((count) => count >= REFUSALS_TO_OPEN)) return;
    this.#kernel.report(new Violation('R', `saves of ${shape.instanceId} are turned off at the first "${message}"`));
  }

  rankMoved({ index, worker }: Rank, { breakerFirstMs }: Budgets, moved: Moved): void {
    const before = this.#moved.get(worker);
    this.#moved.set(worker, moved);
    const { path, fault } = moved;
    if (before?.path !== 'connected' || fault === null || fault === before.fault) return;
    const isDoubted = path.startsWith('degraded.verifying') || path.startsWith('reRegistering');
    if (isDoubted && fault.kind === 'rejected') {
      this.#kernel.report(new Violation('R', `rank ${index} leaves its service at "${fault.message}"`));
    }
    if (!path.startsWith('reRegistering') || fault.kind !== 'defect') return;
    const { nowMs } = this.#kernel.loop;
    const sinceMs = nowMs - (this.#lostMs.get(worker) ?? Number.NEGATIVE_INFINITY);
    this.#lostMs.set(worker, nowMs);
    if (sinceMs >= breakerFirstMs) return;
    this.#kernel.report(
      new Violation('R', `rank ${index} registers again ${sinceMs} ms after it did at "${fault.message}"`),
    );
  }
}

const nameOf = (instanceId: string, rank: number, words: string) =>
  `${instanceId} ${rank} ${words.replace(/\d+/g, '#')}`;
