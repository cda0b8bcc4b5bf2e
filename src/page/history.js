/** All that a feed has said, so that any moment of it can be shown. Pure data; bounded. */
/** @import { Cache, Evidence, FeedRecord, Header, MachineSeen, Message, ServerSeen, Troubles } from '../feed/record.ts' */

/**
 * From its time on a machine was in `state`.
 * @typedef {object} Step
 * @property {number} atMs
 * @property {string} from Empty at the start
 * @property {string} state
 * @property {string} event What led here; empty where it was only seen
 * @property {string | null} epoch
 * @property {Evidence | null} evidence The newest so far
 * @property {boolean} isEvidenceNew Whether it was observed with this step
 * @property {string | null} edge Id of the line of the chart that was taken
 */

/**
 * @typedef {object} Machine
 * @property {string} id
 * @property {'scheduler' | 'worker'} kind
 * @property {string} instance
 * @property {number | null} rank
 * @property {number | null} pid
 * @property {Step[]} steps In the order of time
 * @property {Pick<Troubles, 'atMs' | 'all'>[]} troubles From its time on these were there; the newest of them are kept
 */

/**
 * @typedef {object} History
 * @property {Header | null} header
 * @property {Map<string, Machine>} machines
 * @property {Message[]} messages
 * @property {Map<string, Cache[]>} caches By instance
 * @property {ServerSeen[]} servers
 * @property {number} fromMs Time of the first record that is kept; NaN before one
 * @property {number} toMs Time of the last
 * @property {number} revision Rises with every record
 * @property {number} steps Kept over all machines
 * @property {number} samples Kept over all caches
 * @property {number | null} truncatedBeforeMs Of what happened before, only where it led is known
 * @property {number} maxSteps
 */

/**
 * Beyond it the older half is forgotten: of steps, messages and what was said of the server together, and of the samples
 * of all caches on their own, which come all the time and would push out the outages.
 */
const MAX_STEPS = 40_000;

/**
 * @param {number} [maxSteps]
 * @returns {History}
 */
export function createHistory(maxSteps = MAX_STEPS) {
  return {
    header: null,
    machines: new Map(),
    messages: [],
    caches: new Map(),
    servers: [],
    fromMs: Number.NaN,
    toMs: Number.NaN,
    revision: 0,
    steps: 0,
    samples: 0,
    truncatedBeforeMs: null,
    maxSteps,
  };
}

/**
 * Takes one record in; a header begins anew, because what follows it repeats what was kept.
 * @param {History} history
 * @param {FeedRecord | Header} record
 */
export function accept(history, record) {
  if (record.type === 'header') {
    const { revision, maxSteps } = history;
    const { truncatedBeforeMs } = record;
    Object.assign(history, createHistory(maxSteps), { header: record, truncatedBeforeMs, revision: revision + 1 });
    return;
  }
  history.revision += 1;
  // Not `Math.min`: that keeps NaN.
  if (!(record.atMs >= history.fromMs)) history.fromMs = record.atMs;
  if (!(record.atMs <= history.toMs)) history.toMs = record.atMs;
  if (record.type === 'machine') acceptMachine(history, record);
  else if (record.type === 'transition') {
    const machine = machineOf(history, record.machine);
    const { atMs, from, to, event, epoch, edge } = record;
    const evidence = record.evidence ?? machine.steps.at(-1)?.evidence ?? null;
    addStep(history, machine, {
      atMs,
      from,
      state: to,
      event,
      epoch,
      evidence,
      isEvidenceNew: record.evidence !== null,
      edge,
    });
  } else if (record.type === 'gone') {
    const machine = machineOf(history, record.machine);
    const last = machine.steps.at(-1);
    // The reader's clock told it, which may be behind the machine's.
    addStep(history, machine, stepTo('gone', Math.max(record.atMs, last?.atMs ?? record.atMs), last));
  } else if (record.type === 'troubles') acceptTroubles(machineOf(history, record.machine), record);
  else if (record.type === 'message') insert(history.messages, record);
  else if (record.type === 'server') insert(history.servers, record);
  else if (record.type === 'cache') {
    const samples = history.caches.get(record.instance) ?? [];
    history.caches.set(record.instance, samples);
    insert(samples, record);
    history.samples += 1;
  }
  const { steps, messages, servers, samples, maxSteps } = history;
  if (steps + messages.length + servers.length > maxSteps) forgetOlderSteps(history);
  if (samples > maxSteps) {
    forgetOlderHalf([...history.caches.values()]);
    countSamples(history);
  }
}

/**
 * Index of the last item at or before a time; -1 where there is none.
 * @param {readonly { readonly atMs: number }[]} items
 * @param {number} atMs
 */
export function indexAt(items, atMs) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {{ atMs: number }} */ (items[middle]).atMs <= atMs) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * @param {Machine | undefined} machine
 * @param {number} atMs
 * @returns {Step | null} the step that the machine was in at that time
 */
export function stepAt(machine, atMs) {
  return machine?.steps[indexAt(machine.steps, atMs)] ?? null;
}

/** @param {History} history @returns {string[]} instances in the order in which they were seen */
export function instancesOf({ machines }) {
  return [...new Set([...machines.values()].map(({ instance }) => instance))];
}

/** @param {History} history @param {string} instance */
export function schedulerOf({ machines }, instance) {
  return [...machines.values()].find((machine) => machine.kind === 'scheduler' && machine.instance === instance);
}

/** @param {History} history @param {string} instance @returns {Machine[]} by rank */
export function ranksOf({ machines }, instance) {
  return [...machines.values()]
    .filter((machine) => machine.kind === 'worker' && machine.instance === instance)
    .sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
}

/** @param {History} history @param {MachineSeen} record */
function acceptMachine(history, { machine: id, kind, instance, rank, state, epoch, pid, atMs, evidence, troubles }) {
  const machine = machineOf(history, id);
  if (troubles) acceptTroubles(machine, { atMs, all: troubles });
  Object.assign(machine, { kind, instance, rank, pid });
  const last = machine.steps.at(-1);
  if (last?.state === state) return;
  // It may have entered its state before it was thought to be gone.
  addStep(history, machine, { ...stepTo(state, Math.max(atMs, last?.atMs ?? atMs), last), epoch, evidence });
}

const TROUBLES_KEPT = 1_000;

/** @param {Machine} machine @param {Pick<Troubles, 'atMs' | 'all'>} record */
function acceptTroubles({ troubles }, { atMs, all }) {
  insert(troubles, { atMs, all });
  if (troubles.length > TROUBLES_KEPT) troubles.shift();
}

/**
 * @param {string} state
 * @param {number} atMs
 * @param {Step | undefined} last
 * @returns {Step}
 */
function stepTo(state, atMs, last) {
  const { state: from = '', epoch = null, evidence = null } = last ?? {};
  return { atMs, from, state, event: '', epoch, evidence, isEvidenceNew: false, edge: null };
}

/** @param {History} history @param {string} id @returns {Machine} */
function machineOf({ machines }, id) {
  const known = machines.get(id);
  if (known) return known;
  const [, instance = id, role = ''] = /^(.*)\/([^/]*)$/.exec(id) ?? [];
  const rank = /^rank (\d+)$/.exec(role)?.[1];
  /** @type {Machine} */
  const machine = {
    id,
    kind: rank === undefined ? 'scheduler' : 'worker',
    instance,
    rank: rank === undefined ? null : Number(rank),
    pid: null,
    steps: [],
    troubles: [],
  };
  machines.set(id, machine);
  return machine;
}

/** @param {History} history @param {Machine} machine @param {Step} step */
function addStep(history, machine, step) {
  insert(machine.steps, step);
  history.steps += 1;
}

/**
 * Feeds of several processes are merged as they arrive, which is nearly in order.
 * @template {{ readonly atMs: number }} T
 * @param {T[]} items
 * @param {T} item
 */
function insert(items, item) {
  const last = items.at(-1);
  if (last === undefined || last.atMs <= item.atMs) items.push(item);
  else items.splice(indexAt(items, item.atMs) + 1, 0, item);
}

/** @param {History} history */
function forgetOlderSteps(history) {
  const { machines, caches, messages, servers } = history;
  const beforeMs = forgetOlderHalf([messages, servers, ...[...machines.values()].map(({ steps }) => steps)]);
  history.fromMs = beforeMs;
  history.truncatedBeforeMs = beforeMs;
  history.steps = 0;
  for (const [id, { steps }] of machines) {
    if (steps.length === 1 && steps[0]?.state === 'gone') machines.delete(id);
    else history.steps += steps.length;
  }
  const instances = new Set(instancesOf(history));
  for (const instance of caches.keys()) if (!instances.has(instance)) caches.delete(instance);
  countSamples(history);
}

/** @param {History} history */
function countSamples(history) {
  history.samples = [...history.caches.values()].reduce((sum, { length }) => sum + length, 0);
}

/**
 * @param {{ readonly atMs: number }[][]} lists Each in the order of time
 * @returns {number} the time before which only the last item of each list is kept
 */
function forgetOlderHalf(lists) {
  const times = lists.flatMap((items) => items.map(({ atMs }) => atMs)).sort((a, b) => a - b);
  const beforeMs = times[times.length >> 1] ?? 0;
  for (const items of lists) items.splice(0, Math.max(0, indexAt(items, beforeMs)));
  return beforeMs;
}
