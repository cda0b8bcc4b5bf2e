import { WAYS_TO_PROOF } from '../../../machines/index.ts';
import type { Logger } from './logger.ts';

export interface LogRow {
  readonly level: keyof Logger;
  readonly message: string;
  /** Beside `instance`, `rank`, `epoch` and `traceId`. */
  readonly fields: readonly string[];
}

/** Every log line of a connector. */
export const logTable = {
  looking: { level: 'info', message: 'looking for the cache server', fields: ['endpoint'] },
  connected: {
    level: 'info',
    message: 'cache connected',
    fields: ['cause', 'serverEnd', 'outageMs', 'dials', 'generations'],
  },
  lost: { level: 'warn', message: 'cache lost', fields: ['cause', 'fault'] },
  drained: { level: 'info', message: 'cache handed back before a planned restart', fields: [] },
  generationFailed: {
    level: 'warn',
    message: 'a registration generation failed; all ranks register again',
    fields: ['action', 'fault'],
  },
  incompatible: {
    level: 'error',
    message: 'the cache server speaks another version',
    fields: ['fault', 'serverVersion'],
  },
  stalled: { level: 'warn', message: 'the cache server does not answer a registration call', fields: ['call'] },
  stopped: { level: 'info', message: 'connector stopped', fields: [] },
  moved: { level: 'debug', message: 'state changed', fields: ['from', 'to', 'event'] },
  rankRegistered: { level: 'info', message: 'rank registered', fields: ['outcome', 'tookMs'] },
  rankRefused: { level: 'warn', message: 'rank not registered', fields: ['outcome', 'fault', 'tookMs'] },
  rankLost: { level: 'warn', message: 'rank lost its registration', fields: ['fault'] },
  releasedUnsafely: {
    level: 'error',
    message: 'blocks handed back while the cache server may still touch them',
    fields: ['kind', 'blocks', 'ageMs', 'reason'],
  },
  breakerOpened: {
    level: 'warn',
    message: 'the cache server refuses work; it is tried ever more rarely',
    fields: ['breaker', 'fault'],
  },
  breakerClosed: {
    level: 'info',
    message: 'the cache server takes work again that it had refused',
    fields: ['breaker'],
  },
  waitUnanswered: {
    level: 'warn',
    message: 'the instance is unregistered although ranks did not say in time that they are quiet',
    fields: ['ranks'],
  },
  rankMissed: {
    level: 'warn',
    message: 'a rank does not serve: queries miss and nothing is saved until it does',
    fields: ['missedRank', 'fault'],
  },
  rankReturned: {
    level: 'info',
    message: 'a rank that was missed serves again',
    fields: ['missedRank'],
  },
  proofMissing: {
    level: 'warn',
    message: `nothing would prove that the cache server is dead, so that blocks it may touch then stay held: ${WAYS_TO_PROOF}`,
    fields: ['proof'],
  },
  proofFound: {
    level: 'info',
    message: 'the death of the cache server can be proved again',
    fields: ['proof'],
  },
  heldUnprovably: {
    level: 'warn',
    message: `blocks stay held, and nothing but an answer of the cache server will free them: ${WAYS_TO_PROOF}; or set \`unsafeReleaseAfterMs\`, or restart this host`,
    fields: ['blocks', 'proof'],
  },
  transfersStuck: {
    level: 'warn',
    message:
      'loads or saves have no end although the cache server answers: their blocks stay held until it ends them; if that lasts, restart the server, or let `fencing` do it after `fencingStuckMs`',
    fields: ['loads', 'saves', 'blocks'],
  },
  heldLimitReached: {
    level: 'warn',
    message: 'too much memory is held for a cache server that is silent or gone: nothing is saved and queries miss',
    fields: ['fault'],
  },
  heldLimitLeft: {
    level: 'info',
    message: 'less memory is held for a cache server again: queries and saves go on',
    fields: [],
  },
  parked: {
    level: 'error',
    message: 'the cache server refuses each registration in the same words; somebody has to look',
    fields: ['fault', 'retryMs'],
  },
  blocksWithdrawn: {
    level: 'warn',
    message: 'cached blocks could not be loaded twice; they are no hits for a while',
    fields: ['blocks', 'fault'],
  },
  serverFenced: {
    level: 'warn',
    message: 'the cache server was fenced because it may still touch blocks: every instance at it loses its cache',
    fields: ['by', 'pids', 'reason', 'afterMs'],
  },
  fencingFailed: {
    level: 'warn',
    message: 'the cache server was not fenced although it may still touch blocks: they stay held',
    fields: ['problem'],
  },
  proofDelayed: {
    level: 'warn',
    message:
      'other ranks registered on this device at the same moment: blocks stay held until those registrations are over too',
    fields: ['pairs'],
  },
  preemptionHeldUp: {
    level: 'warn',
    message: 'a preemption waits for proof that the cache server is done with its blocks',
    fields: ['requests', 'blocks', 'waitedMs'],
  },
  unknownRefusal: {
    level: 'warn',
    message: 'the cache server refused a call in words that this connector does not know',
    fields: ['fault'],
  },
  processStalled: { level: 'warn', message: 'the event loop was blocked', fields: ['stallMs'] },
  telemetryFailed: { level: 'error', message: 'telemetry failed; the connector goes on without', fields: ['error'] },
} as const satisfies Readonly<Record<string, LogRow>>;

export type LogLine = keyof typeof logTable;
