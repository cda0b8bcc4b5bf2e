import { type Fault, isNoProof, proofInWords, stateOf } from '../../../machines/index.ts';
import { publicEndpoint, redacted } from '../../redacted.ts';
import type { SchedulerConnectorEvent, WorkerConnectorEvent } from '../event-times.ts';
import type { MachineStep } from '../machine-steps.ts';
import type { ConnectionObserver, ToldRelease } from '../observers.ts';
import { type LogLine, logTable } from './log-table.ts';
import type { Logger } from './logger.ts';
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

  constructor(options: LifecycleLogOptions) {
    this.#options = options;
    this.#repeats = new Repeats(options.logger, options.repeatWindowMs);
  }

  /** A step of the machine of either half, in which `epoch` is announced. */
  stepped(
    { from, to, event, isLast }: Pick<MachineStep<unknown>, 'from' | 'to' | 'event' | 'isLast'>,
    epoch: number,
  ): void {
    this.#epoch = epoch;
    if (from === to) return;
    if (isLast) this.#write('stopped', {});
    const [left, entered] = [stateOf(from), stateOf(to)];
    if (left !== entered) this.#write('moved', { from: left, to: entered, event });
  }

  schedulerHappened(event: SchedulerConnectorEvent): void {
    switch (event.type) {
      case 'outage.began': {
        const { cause, fault } = event.outage;
        if (cause === 'start') this.#write('looking', { endpoint: publicEndpoint(this.#options.endpoint) });
        else if (cause === 'planned') this.#write('drained', {});
        else this.#write('lost', { cause, ...this.#fault(fault) });
        break;
      }
      case 'outage.ended': {
        const { cause, serverEnd, dials, generations, outcome } = event.outage;
        if (outcome === 'stopped') break;
        this.#write('connected', { cause, serverEnd, outageMs: rounded(event.tookMs), dials, generations });
        break;
      }
      case 'generation.ended':
        if (event.outcome === 'published') break;
        this.#write('generationFailed', { action: event.generation.action, ...this.#fault(event.fault) });
        break;
      case 'version.refused': {
        const { serverVersion } = event.fault ?? {};
        const version = serverVersion === undefined ? {} : { serverVersion: redacted(serverVersion) };
        this.#write('incompatible', { ...version, ...this.#fault(event.fault) });
        break;
      }
      case 'registration.stalled':
        this.#write('stalled', { call: event.call });
        break;
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

  rankHappened(event: WorkerConnectorEvent): void {
    switch (event.type) {
      case 'registration.ended': {
        const { outcome, fault } = event;
        if (outcome === 'superseded') break;
        const tookMs = rounded(event.tookMs);
        const isGood = outcome === 'registered' || outcome === 'kept';
        if (isGood) this.#write('rankRegistered', { outcome, tookMs });
        else this.#write('rankRefused', { outcome, tookMs, ...this.#fault(fault) });
        break;
      }
      case 'registration.lost':
        this.#write('rankLost', this.#fault(event.fault));
        break;
      case 'registration.stalled':
        this.#write('stalled', { call: event.call });
        break;
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
      case 'transfers.stuck':
        this.#write('transfersStuck', { loads: event.loads, saves: event.saves, blocks: event.blocks });
        break;
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

  #write(line: LogLine, fields: object): void {
    const { level, message } = logTable[line];
    const { instanceId, rank, logger } = this.#options;
    const traceId = this.#options.traceId();
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
