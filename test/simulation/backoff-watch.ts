import type { Budgets } from '../../machines/index.ts';
import type { Rank } from './instance.ts';
import type { Kernel } from './kernel.ts';
import { Violation } from './violation.ts';

interface Links {
  path: string;
  /** Of the memory that is registered: for other memory a link is made at once. */
  workerBootId: string;
  connectedMs: number;
  /** In a row, which were not in service for as long as any has to be. */
  brief: number;
}

/** Looks whether a rank whose links are lost again and again waits before it makes another. */
export class BackoffWatch {
  #kernel: Kernel;
  #links = new WeakMap<object, Links>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  rankMoved({ index, worker }: Rank, { outlivedMs }: Budgets, path: string): void {
    const { nowMs } = this.#kernel.loop;
    const { workerBootId } = worker.takeReport();
    const before = this.#links.get(worker) ?? { path: 'reconnecting.dialing', workerBootId, connectedMs: 0, brief: 0 };
    const { brief } = before;
    const links = { ...before, path, workerBootId };
    this.#links.set(worker, links);
    if (before.path === 'reconnecting.dialing' && !path.startsWith('reconnecting')) links.brief = brief + 1;
    if (path === 'connected' && before.path !== path) links.connectedMs = nowMs;
    if (before.path !== 'connected' || path === 'connected') return;
    if (nowMs - before.connectedMs >= outlivedMs) links.brief = 0;
    else if (path === 'reconnecting.dialing' && brief > 1 && workerBootId === before.workerBootId) {
      this.#kernel.report(new Violation('B', `rank ${index} dials at once after ${brief} links that were lost soon`));
    }
  }
}
