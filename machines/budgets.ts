/**
 * Every wait of the connectors, in one table. All values are milliseconds; each is an option of the same name.
 * `end` says what happens when the wait runs out; `null` is a wait without an end.
 */
export const budgetTable = {
  dialTimeoutMs: { default: 1_000, end: 'the link is dropped and the next attempt waits for its backoff' },
  redialFirstMs: { default: 1, end: 'ceiling of the first wait between dials of the scheduler; then the next dial' },
  redialMaxMs: { default: 25, end: 'highest ceiling of that wait; then the next dial' },
  droppedDialMaxMs: {
    default: 250,
    end: 'highest ceiling of that wait where somebody listens and ends each attempt; then the next dial',
  },
  rankRedialFirstMs: { default: 20, end: 'ceiling of the first wait of a rank that nobody tells; then it dials' },
  rankRedialMaxMs: { default: 1_000, end: 'highest ceiling of that wait; then the next dial' },
  sessionTimeoutMs: { default: 2_000, end: 'no session headers: the link is dropped and dialled again' },
  surveyTimeoutMs: {
    default: 2_000,
    end: 'no answer to a probe: it is asked again, ever more slowly, while the link lives; within a generation: a fresh link',
  },
  quiesceTimeoutMs: {
    default: 2_000,
    end: 'the instance is cleared although a rank is not idle, or did not answer the wait',
  },
  identifyTimeoutMs: {
    default: 2_000,
    end: 'what is registered is served before it is known which process holds it: a link that is lost then leaves blocks held until that process ends',
  },
  stalledAfterMs: {
    default: 5_000,
    end: 'Register or Unregister unanswered: shown as stalled, still waited for; no answer to a read-back or to a check of the registration: a fresh link',
  },
  stalledTimeoutMs: { default: 60_000, end: 'a stalled Register or Unregister: the link is dropped and dialled again' },
  voidBackoffFirstMs: { default: 20, end: 'ceiling of the wait after a second failed generation; then the next' },
  voidBackoffMaxMs: { default: 5_000, end: 'highest ceiling of that wait; then the next generation' },
  outlivedMs: {
    default: 2_000,
    end: 'in service for so long: the troubles before are forgotten, unless the generation, or the link of a rank, before lived as long; then after 4, at last after 16 times as long',
  },
  parkedFirstMs: {
    default: 60_000,
    end: 'first wait where the server refuses each registration in the same words; then one generation',
  },
  parkedMaxMs: { default: 300_000, end: 'longest wait between such generations; it doubles with each' },
  pushbackMaxMs: { default: 10_000, end: 'longest pushback of the server that is obeyed; then the next attempt' },
  spreadFromMs: { default: 50, end: 'a clear that took longer shows a busy server: the registrations are spread' },
  spreadMaxMs: { default: 2_000, end: 'highest ceiling of that wait; then the ranks register' },
  registrationSpreadMs: {
    default: 1,
    end: 'least ceiling of that wait; above 1 where many instances share a server and none shall storm it',
  },
  auditFirstMs: { default: 1_000, end: 'first audit of a new generation' },
  auditIntervalMs: { default: 10_000, end: 'next audit' },
  versionProbeIntervalMs: { default: 5_000, end: 'an incompatible server is asked for its version again' },
  drainTimeoutMs: {
    default: 5_000,
    end: 'the session is handed back to a draining server although a rank is not idle',
  },
  drainedTimeoutMs: { default: 600_000, end: 'a host that drained and never resumed: the server is dialled again' },
  rankGraceMs: { default: 250, end: 'a rank does not serve: queries miss until it does; saves do not wait for this' },
  rankSilenceMs: {
    default: 5_000,
    end: 'a rank was not heard although the host carries messages: queries miss until it is; ranks with a channel report five times as often',
  },
  rankAwayMs: {
    default: 30_000,
    end: 'a rank neither serves nor was replaced: the instance is unregistered, and registered again when the rank is there',
  },
  stopTimeoutMs: { default: 2_000, end: 'stop answers "unconfirmed"' },
  pingIntervalMs: { default: 1_000, end: 'a ping is sent on every link' },
  pingTimeoutMs: { default: 1_500, end: 'the link is taken for lost' },
  oldLinkGraceMs: {
    default: 1_000,
    end: 'the server answers on a new link and is silent on the old one for so long: that is closed, and what it owes waits for another proof',
  },
  pingIntervalMaxMs: {
    default: 600_000,
    end: 'longest wait between pings of links to a peer that ended others because of too many; then a ping is sent',
  },
  queryTimeoutMs: { default: 2_000, end: 'the query is a miss and the link is surveyed' },
  abandonedQueryTimeoutMs: {
    default: 30_000,
    end: 'a query that was given up and is still not answered is withdrawn: a lease that it brought expires at the server',
  },
  loadingTimeoutMs: { default: 30_000, end: 'a query that is still "loading" is a miss' },
  leaseReuseMs: { default: 300_000, end: 'a hit that was not loaded is given up and asked for again' },
  breakerFirstMs: {
    default: 1_000,
    end: 'first wait of work that is turned off because the server refuses it; then one real call is tried',
  },
  breakerMaxMs: { default: 300_000, end: 'longest wait between such tries; it doubles with each that fails' },
  breakerTryMs: { default: 10_000, end: 'a try of which nothing was heard: another one' },
  releaseTimeoutMs: { default: 2_000, end: 'the lease is left to expire at the server' },
  loadPollIntervalMs: { default: 1, end: 'the records of loads in flight are read again' },
  recordCheckTimeoutMs: {
    default: 5_000,
    end: 'no answer to the load of nothing: whether the server can write load records shows with the first real one',
  },
  settleMs: { default: 250, end: 'weak proof of death, and a load that failed after it was accepted, count as final' },
  transferStalledAfterMs: {
    default: 30_000,
    end: 'a load or save that has no end while its link lives: its blocks stay held, and the registration is made anew; saves behind four such are refused at once',
  },
  unsafeReleaseAfterMs: {
    default: null,
    end: 'a load or save of unknown outcome is failed: an unsafe release, which a late copy can turn into wrong bytes for every instance of the namespace',
  },
  saveWaitTimeoutMs: {
    default: 10_000,
    end: 'a save that could not be sent, because as many as may be are not answered, is given up: its blocks are free',
  },
  proofTimeoutMs: {
    default: 1_000,
    end: 'a rank that cannot prove the end of what it had under way keeps those blocks held, and the others register',
  },
  proofPollIntervalMs: {
    default: 5,
    end: 'the server’s threads are looked at again; 20 times as long while in service',
  },
  proofRetryFirstMs: {
    default: 1_000,
    end: 'first wait before a rank tries again to prove that transfers in doubt are over',
  },
  proofRetryMaxMs: { default: 60_000, end: 'longest such wait' },
  registrationTurnMs: {
    default: 1_000,
    end: 'others register on the same device of the same server: the rank goes ahead beside them, and a proof by the end of its copy threads may have to wait for theirs',
  },
  registrationTurnPollMs: { default: 5, end: 'whether it is the rank’s turn is looked at again' },
  fencingSilenceMs: {
    default: 10_000,
    end: 'where the host chose `fencing`: a load or save is in doubt and no byte has come on any link of the rank for so long: the server is fenced',
  },
  fencingStuckMs: {
    default: null,
    end: 'likewise, of a load or save that is in doubt for so long although the server answers',
  },
  fencingCommandTimeoutMs: {
    default: 30_000,
    end: 'the command that the host gave to fence a server is killed, with what it started',
  },
  logRepeatWindowMs: { default: 60_000, end: 'what a log line was repeated meanwhile is told in one line' },
  heldToldAfterMs: {
    default: 5_000,
    end: 'blocks are held for so long, and nothing but an answer would prove that the server is done with them: this is told once; they stay held',
  },
  preemptionToldAfterMs: { default: 5_000, end: 'a preemption that still waits is told; it goes on waiting' },
} as const;

/** Values for every wait, in milliseconds. */
export type Budgets = {
  readonly [name in keyof typeof budgetTable]: (typeof budgetTable)[name]['default'] extends null
    ? number | null
    : number;
};

/** Budgets of earlier releases that ended a wait for proof by time. They are accepted, and do nothing. */
const RETIRED = ['transferTimeoutMs', 'preemptionTimeoutMs'];

/** Longest delay that a timer of the platform can wait; longer ones fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The defaults with `overrides` in their place. Throws a RangeError that names a value no timer can wait for. */
export function budgetsFrom(overrides: Partial<Budgets> = {}): Budgets {
  const rows: Readonly<Record<string, { readonly default: number | null }>> = budgetTable;
  const given = Object.entries(overrides).filter(([name]) => !RETIRED.includes(name));
  for (const [name, value] of given) {
    const row = rows[name];
    if (row === undefined) throw new RangeError(`unknown budget "${name}"`);
    if (value === null && row.default === null) continue;
    if (!(Number.isFinite(value) && Number(value) > 0 && Number(value) <= MAX_TIMER_MS)) {
      throw new RangeError(`${name} must be above 0 and at most ${MAX_TIMER_MS} ms, not ${value}`);
    }
  }
  const defaults = Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row.default]));
  return { ...defaults, ...Object.fromEntries(given) } as Budgets;
}
