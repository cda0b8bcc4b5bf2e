import {
  type Fault,
  isNoProof,
  proofInWords,
  type SchedulerContext,
  type SchedulerDomainEvent,
  stateOf,
  type WorkerContext,
  type WorkerDomainEvent,
} from '../../machines/index.ts';
import { publicEndpoint, redacted } from '../redacted.ts';
import { type LogLine, logTable } from './log-table.ts';
import type { Logger } from './logger.ts';
import type { MachineStep } from './machine-steps.ts';
import type { ConnectionObserver, ToldRelease } from './observers.ts';
import type { SchedulerNews } from './outages.ts';
import type { RankNews } from './rank-news.ts';
import { Repeats } from './repeats.ts';

export interface LifecycleLogOptions {
  readonly logger: Logger;
  /** How long repeats of a line are counted before they are told. */
  readonly repeatWindowMs: number;
  readonly instanceId: string;
  readonly endpoint: string;
  /** `null`: the scheduler's half. */
  readonly rank: number | null;
  /** The trace under way. */
  readonly traceId: () => string | undefined;
}

/** One line for each transition that matters to an operator. */
export class LifecycleLog implements ConnectionObserver {
  #options: LifecycleLogOptions;
  #repeats: Repeats;
  #unknownWordings = new Set<string>();
  #epoch = 0;
  /** Of the step that is being told: it may have ended its trace. */
  #traceId: string | undefined;

  constructor(options: LifecycleLogOptions) {
    this.#options = options;
    this.#repeats = new Repeats(options.logger, options.repeatWindowMs);
  }

  schedulerStepped(step: MachineStep<SchedulerContext>, news: readonly SchedulerNews[], traceId?: string): void {
    const { to, context } = step;
    this.#traceId = traceId;
    this.#epoch = context.announcement.epoch.counter;
    if (step.from === '') this.#write('looking', { endpoint: publicEndpoint(this.#options.endpoint) });
    for (const one of news) {
      if (one.type === 'outage.began' && one.outage.cause === 'planned') this.#write('drained', {});
      else if (one.type === 'outage.began' && one.outage.cause !== 'start') {
        this.#write('lost', { cause: one.outage.cause, ...this.#fault(one.outage.fault) });
      } else if (one.type === 'outage.ended' && one.outage.outcome === 'connected') {
        const { cause, serverEnd, dials, generations, startMs, endMs } = one.outage;
        this.#write('connected', { cause, serverEnd, outageMs: rounded(endMs - startMs), dials, generations });
      } else if (one.type === 'generation.ended' && one.outcome === 'void') {
        this.#write('voided', { action: one.generation.action, ...this.#fault(one.fault) });
      }
    }
    this.#moved(step);
    if (step.from !== to && stateOf(to) === 'incompatible' && stateOf(step.from) !== 'incompatible') {
      const { serverVersion } = context.evidence?.fault ?? {};
      const version = serverVersion === undefined ? {} : { serverVersion: redacted(serverVersion) };
      this.#write('incompatible', { ...version, ...this.#fault(context.evidence?.fault ?? null) });
    }
    this.#traceId = undefined;
  }

  rankStepped(step: MachineStep<WorkerContext>, news: readonly RankNews[], traceId?: string): void {
    this.#traceId = traceId;
    this.#epoch = step.context.announcement?.epoch.counter ?? 0;
    for (const one of news) {
      if (one.type === 'registration.lost') this.#write('rankLost', this.#fault(one.fault));
      if (one.type !== 'registration.ended' || one.outcome === 'superseded') continue;
      const { outcome, fault, registration } = one;
      const tookMs = rounded(step.atMs - registration.startMs);
      const isGood = outcome === 'registered' || outcome === 'kept';
      if (isGood) this.#write('rankRegistered', { outcome, tookMs });
      else this.#write('rankRefused', { outcome, tookMs, ...this.#fault(fault) });
    }
    this.#moved(step);
    this.#traceId = undefined;
  }

  schedulerHappened(event: SchedulerDomainEvent): void {
    switch (event.type) {
      case 'breaker.opened':
        this.#write('breakerOpened', { breaker: event.breaker, ...this.#fault(event.fault) });
        break;
      case 'breaker.closed':
        this.#write('breakerClosed', { breaker: event.breaker });
        break;
      case 'wait.unanswered':
        this.#write('waitUnanswered', { ranks: event.ranks.join(', ') });
        break;
      case 'rank.missed':
        this.#write('rankMissed', { missedRank: event.rank, ...this.#fault(event.fault) });
        break;
      case 'rank.returned':
        this.#write('rankReturned', { missedRank: event.rank });
        break;
      case 'heldLimit.reached':
        this.#write('heldLimitReached', this.#fault(event.fault));
        break;
      case 'heldLimit.left':
        this.#write('heldLimitLeft', {});
        break;
      case 'registration.parked':
        this.#write('parked', { retryMs: event.retryMs, ...this.#fault(event.fault) });
        break;
      case 'blocks.withdrawn':
        this.#write('blocksWithdrawn', { blocks: event.blocks, ...this.#fault(event.fault) });
        break;
    }
  }

  rankHappened(event: WorkerDomainEvent): void {
    switch (event.type) {
      case 'server.fenced': {
        const { by, pids, reason, afterMs } = event;
        this.#write('serverFenced', { by, pids: pids.join(', '), reason, afterMs });
        break;
      }
      case 'proof.delayed':
        this.#write('proofDelayed', { pairs: event.pairs });
        break;
      case 'fencing.failed':
        this.#write('fencingFailed', { problem: redacted(event.problem) });
        break;
      case 'proof.changed': {
        const proof = proofInWords(event.proof);
        if (isNoProof(event.proof)) this.#write('proofMissing', { proof });
        else if (isNoProof(event.before)) this.#write('proofFound', { proof });
        break;
      }
      case 'preemption.heldUp': {
        const { requests, blocks, waitedMs } = event;
        this.#write('preemptionHeldUp', { requests, blocks, waitedMs });
        break;
      }
      case 'blocks.heldUnprovably':
        this.#write('heldUnprovably', { blocks: event.blocks, proof: proofInWords(event.proof) });
        break;
    }
  }

  releasedUnsafely({ kind, blocks, ageMs, reason }: ToldRelease): void {
    const said = redacted(reason);
    this.#write('releasedUnsafely', { kind, blocks, ageMs: rounded(ageMs), reason: said });
  }

  /** Each wording once: it names what nobody has looked at yet, and may come with every call. */
  refusedInUnknownWords(fault: Fault): void {
    const wording = redacted(fault.message).replace(/\d+/g, '#');
    if (this.#unknownWordings.has(wording) || this.#unknownWordings.size === UNKNOWN_WORDINGS_KEPT) return;
    this.#unknownWordings.add(wording);
    this.#write('unknownRefusal', this.#fault(fault));
  }

  stalled(stallMs: number): void {
    this.#write('processStalled', { stallMs: rounded(stallMs) });
  }

  #moved({ from, to, event }: Pick<MachineStep<unknown>, 'from' | 'to' | 'event'>): void {
    if (from === to) return;
    if (to.endsWith('.stalled')) this.#write('stalled', { path: to });
    if (to === 'stopped') this.#write('stopped', {});
    const [left, entered] = [stateOf(from), stateOf(to)];
    if (left !== entered) this.#write('moved', { from: left, to: entered, event });
  }

  #write(line: LogLine, fields: object): void {
    const { level, message } = logTable[line];
    const { instanceId, rank, logger } = this.#options;
    const traceId = this.#traceId ?? this.#options.traceId();
    const said = {
      instance: instanceId,
      ...(rank === null ? {} : { rank }),
      epoch: this.#epoch,
      ...(traceId === undefined ? {} : { traceId }),
      ...fields,
    };
    if (level === 'debug' || line === 'unknownRefusal') logger[level](said, message);
    else this.#repeats.write(level, message, said);
  }

  #fault(fault: Fault | null): object {
    if (fault === null) return {};
    return { fault: `${fault.kind}: ${redacted(fault.message)}` };
  }
}

/** More than these are not told: a server that says something else each time would fill the log. */
const UNKNOWN_WORDINGS_KEPT = 32;

/** Microseconds are enough for people. */
function rounded(durationMs: number): number {
  return Math.round(durationMs * 1000) / 1000;
}
