import type { Invariant } from './violation.ts';

/** One deliberate defect: the text is replaced where it occurs, which must be once. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** What it breaks. */
  readonly why: string;
  /** Where only this shows it; by default any violation does. */
  readonly caughtBy?: Invariant;
  /** One that caught it, to begin with. Plays change with the simulation: others follow where it does not catch it any more. */
  readonly seed?: number;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'load of another epoch',
    file: 'src/connector/rank-transfers.ts',
    find: 'if (!isSameEpoch(intent.epoch, service.epoch)) {',
    replace: 'if (false) {',
    why: 'a lease of an earlier epoch is loaded',
  },
  {
    name: 'save without epoch',
    file: 'src/connector/rank-transfers.ts',
    find: "if (!isSameEpoch(intent.epoch, service.epoch)) return 'the save is of another epoch';",
    replace: '',
    why: 'some ranks alone save',
  },
  {
    name: 'one name in every registration',
    file: 'src/connector/kv-caches.ts',
    find: 'return layers.map((layer) => ({ ...layer, name:',
    replace: "if (prefix !== '') return [...layers];\n  return layers.map((layer) => ({ ...layer, name:",
    why: "a twin's registration, or a later one of our own, takes what was meant for this one",
  },
  {
    name: 'report of any epoch',
    file: 'machines/ranks.ts',
    find: 'return reports.every((report) => speaksOf(report, epoch) && isConfirmation(report));',
    replace: 'return reports.every((report) => report !== null && isConfirmation(report));',
    why: "a rank's word on an earlier epoch seals this one",
  },
  {
    name: 'seal without the last rank',
    file: 'machines/ranks.ts',
    find: 'return reports.every((report) => speaksOf(report, epoch) && isConfirmation(report));',
    replace:
      'return reports.slice(0, Math.max(1, reports.length - 1)).every((report) => speaksOf(report, epoch) && isConfirmation(report));',
    why: 'one rank may be missing',
  },
  {
    name: 'barrier of old messages',
    file: 'machines/ranks.ts',
    find: 'return epoch?.schedulerBootId === announcement.epoch.schedulerBootId && number >= announcement.number;',
    replace: 'return true;',
    why: 'the clear goes ahead on a report from before the wait',
  },
  {
    name: 'saves without every rank',
    file: 'src/connector/scheduler-connector.ts',
    find: '    if (!this.takesSaves) return false;\n',
    replace: '',
    why: 'some ranks alone save, and what they saved fills the pool',
  },
  {
    name: 'held without a limit',
    file: 'src/connector/scheduler-connector.ts',
    find: 'isAtHeldLimit || ',
    replace: '',
    why: 'a server that ends nothing is given block after block, until none is left',
    caughtBy: 'H',
  },
  {
    name: 'in service without every rank',
    file: 'src/connector/attendance.ts',
    find: 'const isAbsent = !servesIn(report, epoch);',
    replace: 'const isAbsent = false;',
    why: 'hits are promised that a rank cannot load',
  },
  {
    name: 'roles stay apart',
    file: 'machines/scheduler-setup.ts',
    find: 'const APART_FROM = 2;',
    replace: 'const APART_FROM = Number.POSITIVE_INFINITY;',
    why: 'scheduler and ranks go on at different servers, where no generation is ever whole',
    caughtBy: 'A',
  },
  {
    name: 'clear before the session',
    file: 'machines/scheduler.ts',
    find: "target: '#scheduler.reRegistering',\n              actions: ['announceWait', 'forgetVersionRefusals', 'forgetRedial'],",
    replace:
      "target: '#scheduler.reRegistering.quiescing',\n              actions: ['announceWait', 'forgetVersionRefusals', 'forgetRedial'],",
    why: 'nobody watches over what is registered',
  },
  {
    name: 'no read-back',
    file: 'machines/scheduler.ts',
    find: "{ guard: 'areRanksConfirmed', target: 'readingBack' },",
    replace: "{ guard: 'areRanksConfirmed', target: '#scheduler.connected' },",
    why: 'published although the server has forgotten it again',
  },
  {
    name: 'no clear',
    file: 'machines/scheduler.ts',
    find: "always: { guard: 'areRanksQuiet', target: 'clearing' },",
    replace: "always: { guard: 'areRanksQuiet', target: 'announcing', actions: 'announceRegister' },",
    why: 'what an earlier life registered stays',
  },
  {
    name: 'keep whatever is sealed',
    file: 'machines/scheduler-setup.ts',
    find: "survey.kind === 'sealed' && context.lineage !== null && upholds(context.reports, context.lineage),",
    replace: "survey.kind === 'sealed',",
    why: 'sealed is taken for ours',
  },
  {
    name: 'a close is proof of death',
    file: 'src/rpc/death-watch.ts',
    find: '  observeClose(): void {\n    this.#isClosed = true;\n',
    replace: "  observeClose(): void {\n    this.#isClosed = true;\n    queueMicrotask(() => this.#prove('weak'));\n",
    why: 'blocks are free while the server lives and copies',
  },
  {
    name: 'weak proof without settling',
    file: 'src/rpc/death-watch.ts',
    find: '    }, this.#options.settleMs);',
    replace: '    }, 0);',
    why: "a dying server's last copies land in free blocks",
  },
  {
    name: 'a proxy is taken for the server',
    file: 'src/rpc/holder-search.ts',
    find: 'const isHolder = () => holdsMemory(owner, this.#memory, this.#sinceTicks);',
    replace: 'const isHolder = async () => true;',
    why: 'a process between us and the server dies, and blocks are free while the server copies',
  },
  {
    name: 'failed load final at once',
    file: 'src/connector/loads.ts',
    find: 'flight.cancelSettling ??= patientTimer(this.#budgets.settleMs, () => this.#failAfterAcceptance(flight));',
    replace: 'this.#failAfterAcceptance(flight);',
    why: 'copies that were queued before the failure land in free blocks',
  },
  {
    name: 'a broken link ends a transfer',
    file: 'src/connector/transfer.ts',
    find: "    if (isFinal) {\n      this.fail(fault, 'answer');",
    replace: "    if (fault !== null) {\n      this.fail(fault, 'answer');",
    why: 'suspicion is taken for death',
  },
  {
    name: 'unsafe release not counted',
    file: 'src/connector/rank-transfers.ts',
    find: '        this.stats.unsafeReleases += 1;\n',
    replace: '',
    why: 'blocks are handed back in silence',
  },
  {
    name: 'a load is sent twice',
    file: 'src/connector/loads.ts',
    find: '        (error) => transfer.rpcFailed(error),\n      );\n  }',
    replace:
      '        (error) => { transfer.rpcFailed(error); if (server.link.end === null) this.start(server, target, intent, events); },\n      );\n  }',
    why: 'the second ends what the first has ended',
  },
  {
    name: 'query id without digest',
    file: 'src/connector/cache-queries.ts',
    find: '{digest}`, named)',
    replace: "{''}`, named)",
    why: "a prefetch's result is taken for another query's",
  },
  {
    name: 'delivery not confirmed',
    file: 'src/connector/scheduler-connector.ts',
    find: '  buildMetadata(): ConnectorMetadata {\n    this.#confirmDelivery();',
    replace: '  buildMetadata(): ConnectorMetadata {',
    why: 'a host without a channel waits for ever',
  },
  {
    name: 'loss not reported',
    file: 'machines/worker.ts',
    find: "recordLoss: assign((_, { fault }: FaultParams) => ({ outcome: 'lost' as const, fault })),",
    replace: 'recordLoss: assign((_, { fault }: FaultParams) => ({ fault })),',
    why: 'a refuted registration is never replaced',
  },
  {
    name: 'version not adopted',
    file: 'machines/scheduler-setup.ts',
    find: 'return version === null ? {} : { serverVersion: version, versionRefusals',
    replace: 'return version === null ? {} : { versionRefusals',
    why: 'a server of another version is asked in vain for ever',
  },
  {
    name: 'no audit',
    file: 'machines/scheduler.ts',
    find: "serving: { after: { auditInterval: 'auditing' } },",
    replace: 'serving: {},',
    why: 'a loss is noticed only under load',
  },
  {
    name: 'queries while degraded',
    file: 'src/connector/scheduler-connector.ts',
    find: "const epoch = snapshot.hasTag('cacheUsable') ? announcement.epoch : null;",
    replace: 'const { epoch } = announcement;',
    why: 'queries are sent outside connected',
  },
  {
    name: 'transfer without budget',
    file: 'src/connector/transfer.ts',
    find: 'after(unsafeReleaseAfterMs, () => this.#giveUp(unsafeReleaseAfterMs));',
    replace: 'after(unsafeReleaseAfterMs * 1000, () => this.#giveUp(unsafeReleaseAfterMs));',
    why: 'a host that declared a time waits for ever',
  },
  {
    name: 'blocks handed back by time',
    file: 'src/connector/transfer.ts',
    find: '    this.#isUnanswered = true;\n    this.#doubt();\n  }\n\n  /** For a host',
    replace: "    this.fail({ kind: 'timedOut', message: '' }, 'answer');\n  }\n\n  /** For a host",
    why: 'time is taken for proof',
  },
  {
    name: 'threads taken for gone',
    file: 'src/connector/proof-seeker.ts',
    find: "if (this.#isDisposed || left.some((one) => one !== 'none')) continue;",
    replace: 'if (this.#isDisposed) continue;',
    why: 'blocks are free while a copy of the old registration still runs',
  },
  {
    name: 'nobody asks for proof',
    file: 'src/connector/proof-seeker.ts',
    find: "      this.#step = 'asking';\n",
    replace: '',
    why: 'what a lost link left open stays held for as long as the server lives',
  },
  {
    name: 'a silent link is read on for ever',
    file: 'src/rpc/connection.ts',
    find: '        else old.link.destroy();\n',
    replace: '',
    why: 'what a half-open link owes is never proved to be over',
  },
  {
    name: 'fences a server that answers',
    file: 'src/connector/fencing.ts',
    find: 'silentLooks: isHeard ? 0 : before.silentLooks + 1',
    replace: 'silentLooks: before.silentLooks + 1',
    why: 'the cache of every instance is ended for one transfer that lasts',
  },
  {
    name: 'finished without waiting for saves',
    file: 'src/connector/request-ledger.ts',
    find: 'entry.awaitsSaves = entry.hasSaves;',
    replace: 'entry.awaitsSaves = false;',
    why: 'blocks are used again while a save reads them',
  },
  {
    name: 'stop without unregistering',
    file: 'src/actors/retire.ts',
    find: '      await clearInstance(server, session.instanceId);\n',
    replace: '',
    why: 'the server keeps what was stopped',
  },
  {
    name: 'stop leaves transfers',
    file: 'src/connector/worker-connector.ts',
    find: '    this.#transfers.abandonAll();\n',
    replace: '',
    why: 'records and timers outlive the connector',
  },
  {
    name: 'a spoilt hash is a hit',
    file: 'src/connector/cache-queries.ts',
    find: 'upTo(loadable, this.#options.distrust.trustedPrefix(hashesAt(loadable, query)));',
    replace: 'loadable;',
    why: 'what a save stored after its blocks were handed back is loaded',
    caughtBy: 11,
  },
  {
    name: 'spoilt hashes not reported',
    file: 'src/connector/unsafe-saves.ts',
    find: 'for (const hash of [...saves].flat()) hashes.set(keyOf(hash), hash);',
    replace: '',
    why: 'the scheduler never hears which hashes are not to be used',
    caughtBy: 11,
  },
  {
    name: 'replaced worker not told of',
    file: 'src/connector/worker-connector.ts',
    find: 'if (left.rank === rank && left.workerBootId === workerBootId) {',
    replace: 'if (false) {',
    why: 'requests wait for what a process that is gone had under way',
  },
  {
    name: 'hashes of saves not copied',
    file: 'src/connector/copied.ts',
    find: 'return piecesOf(Buffer.concat(hashes), lengths);',
    replace: 'return lengths.map((_, i) => hashes[i]);',
    why: 'what the host writes over them next is what the blocks are stored under',
  },
  {
    name: 'any number of saves in flight',
    file: 'src/connector/saves.ts',
    find: 'if (this.#hasRoomAt(server)) send();',
    replace: 'if (server) send();',
    why: 'saves queue where nobody can take them back',
  },
  {
    name: 'stream limit of the peer not kept',
    file: 'src/rpc/stream-gate.ts',
    find: 'if (this.#isClosed || this.#hasRoom(isVital)) {',
    replace: 'if (this.#limit > 0) {',
    why: 'calls queue in the HTTP/2 of Node, and leave whatever became of them meanwhile',
  },
  {
    name: 'abandoned query never withdrawn',
    file: 'src/connector/abandoned-queries.ts',
    find: 'patientTimer(this.#budgets.abandonedQueryTimeoutMs, withdraw)',
    replace: 'patientTimer(1e9, withdraw)',
    why: 'queries that a server hangs on pile up',
  },
  {
    name: 'saves turned off at once',
    file: 'machines/breaker.ts',
    find: '{ saves: 2, loads: 3, queries: 3 }',
    replace: '{ saves: 1, loads: 3, queries: 3 }',
    why: 'one accident stops all saves',
  },
  {
    name: 'breaker never tried',
    file: 'machines/breaker.ts',
    find: "after: { retry: 'ready' },",
    replace: 'after: {},',
    why: 'what a server refused for a while is never asked for again',
  },
  {
    name: 'refusal held against the registration',
    file: 'src/connector/worker-connector.ts',
    find: "if (fault.kind === 'rejected' || fault.kind === 'incompatible' || fault.lost === 'seal') return;",
    replace: '',
    why: 'a full disk takes every rank out of service',
  },
  {
    name: 'failed copies not spaced',
    file: 'src/connector/worker-connector.ts',
    find: 'if (isCopyFailure && !this.#copyFailures.isDue(performance.now())) return;',
    replace: '',
    why: 'a block that cannot be loaded makes all ranks register again each time',
  },
  {
    name: 'other memory under the same life',
    file: 'src/connector/worker-connector.ts',
    find: "if (isOther) this.#send({ type: 'memory.replaced', workerBootId: randomUUID() });",
    replace: '',
    why: 'the server goes on with memory that is not used any more',
  },
  {
    name: 'late answer accepted',
    file: 'machines/worker.ts',
    find: 'isAnswerLate: ({ context }) => !isAttemptCurrent(context),',
    replace: 'isAnswerLate: () => false,',
    why: 'a registration that was cleared meanwhile is taken for that of this epoch',
  },
  {
    name: 'former scheduler obeyed',
    file: 'machines/worker.ts',
    find: "return next.action !== 'stop' && !isLateWord(context, next);",
    replace: 'return true;',
    why: 'a late word of a dead scheduler undoes what the living one said',
  },
  {
    name: 'former worker for ever',
    file: 'machines/ranks.ts',
    find: 'return epoch?.schedulerBootId !== current.schedulerBootId || epoch.counter <= held.counter;',
    replace: 'return true;',
    why: 'a late word of a dead worker process silences the living one',
  },
  {
    name: 'endless transfer is no evidence',
    file: 'src/connector/transfer.ts',
    find: '  #stall(): void {\n    this.#isUnanswered = true;\n    this.#doubt();',
    replace: '  #stall(): void {',
    why: 'a server that answers every ping and ends no work is never cured',
  },
  {
    name: 'unanswered question left behind',
    file: 'src/connector/saves.ts',
    find: 'client.save(request, { signal })',
    replace:
      'Promise.race([client.save(request), new Promise((_, no) => signal.addEventListener("abort", () => no(signal.reason)))])',
    why: 'each question to a server that answers none stays as one more call under way',
  },
  {
    name: 'late timer believed at once',
    file: 'src/patient-timer.ts',
    find: 'turn = setImmediate(() => {\n      turn = setImmediate(fire);\n    });',
    replace: 'fire();',
    why: 'after a stall of our own, verdicts come before the answers that have long arrived',
  },
  {
    name: 'failed promise kept',
    file: 'src/connector/refused-work.ts',
    find: 'for (const { groupId } of load.leases) this.#withdrawn.set(load.requestId, groupId, true);',
    replace: '',
    why: 'a request whose load failed is promised the same hit again',
  },
  {
    name: 'leases never released',
    file: 'src/connector/leases.ts',
    find: '  release(held: HeldLease): void {\n',
    replace: '  release(held: HeldLease): void {\n    if (held) return;\n',
    why: "what nobody loads pins the server's pool until it expires",
  },
];

/** Throws where no mutant has that name. */
export function mutantBy(name: string | null): Mutant | null {
  if (name === null) return null;
  const mutant = mutants.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`no mutant is called "${name}"`);
  return mutant;
}
