import type { Fault, RankReport, ReportedRefusal, ReportedWork } from '../../../machines/index.ts';

type Kind = 'load' | 'save';

/** Refusals of one kind that a report names, at most: it is sent with every step. */
const REFUSALS_REPORTED = 8;

/** What a rank reports of its loads and saves: what the server carried out, and what it refused as such. */
export class WorkReport {
  #loads: ReportedWork = { succeeded: 0, refusals: [] };
  #saves: ReportedWork = { succeeded: 0, refusals: [] };
  #report: RankReport['work'];

  /** The same object until it changes. `undefined` before the first refusal. */
  get report(): RankReport['work'] {
    return this.#report;
  }

  succeeded(kind: Kind): void {
    const { succeeded, refusals } = this.#of(kind);
    this.#set(kind, { succeeded: succeeded + 1, refusals });
  }

  /** `fault` is no refusal where the server is gone, or has lost the registration or the lease. */
  failed(kind: Kind, requestId: string, fault: Fault): void {
    if (fault.kind !== 'rejected' && fault.kind !== 'defect' && fault.kind !== 'incompatible') return;
    this.refused(kind, requestId, fault);
  }

  /** As such, so that it would be refused again. */
  refused(kind: Kind, requestId: string, fault: Fault): void {
    this.#note(kind, { requestId, fault });
  }

  /** Every piece of this kind would be. */
  allRefused(kind: Kind, fault: Fault): void {
    this.#note(kind, { requestId: '', fault, isOfAll: true });
  }

  #of(kind: Kind): ReportedWork {
    return kind === 'load' ? this.#loads : this.#saves;
  }

  #note(kind: Kind, refusal: Omit<ReportedRefusal, 'number'>): void {
    const { succeeded, refusals } = this.#of(kind);
    const number = (refusals.at(-1)?.number ?? 0) + 1;
    this.#set(kind, { succeeded, refusals: [...refusals, { number, ...refusal }].slice(-REFUSALS_REPORTED) });
  }

  #set(kind: Kind, work: ReportedWork): void {
    if (kind === 'load') this.#loads = work;
    else this.#saves = work;
    const hasRefusals = this.#loads.refusals.length + this.#saves.refusals.length > 0;
    if (hasRefusals) this.#report = { loads: this.#loads, saves: this.#saves };
  }
}
