import {
  type AnyEventObject,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createMachine,
  getMicrosteps,
  initialTransition,
} from 'xstate';
import { pathFrom } from '../../machines/index.ts';
import { type Edge, edgesOf, isWithin, leafIn, type State, statesOf } from '../../scripts/statecharts/edges.ts';

/** What a walk sends, and when two situations count as one. */
export interface Plan<Context> {
  readonly machine: AnyStateMachine;
  readonly input: unknown;
  /** Each event from outside, in every form that a guard tells apart. */
  readonly variants: (context: Context) => Readonly<Record<string, readonly AnyEventObject[]>>;
  /** What each actor may answer; without a row it answers nothing in particular. */
  readonly outputs: Readonly<Record<string, readonly unknown[]>>;
  /** What each actor may fail with. */
  readonly errors: readonly unknown[];
  /** What the guards read of a context from that state on, and nothing that grows. */
  readonly situationIn: (context: Context, path: string) => unknown;
}

/** What an event does in a state: leads elsewhere, only acts, or nothing, in every situation. */
type Effect = 'moves' | 'acts' | 'nothing';

export interface Walk {
  readonly states: readonly State[];
  readonly edges: readonly Edge[];
  /** States without states inside. */
  readonly leaves: readonly string[];
  /** The strongest effect seen, by state and event type. */
  readonly effects: ReadonlyMap<string, ReadonlyMap<string, Effect>>;
  readonly taken: ReadonlySet<Edge>;
  /** For each state those that follow it directly. */
  readonly successors: ReadonlyMap<string, ReadonlySet<string>>;
  /** Every type of event: from outside, and from the machine's own timers and actors. */
  readonly events: readonly string[];
  /** What each guard answered. */
  readonly answers: ReadonlyMap<string, ReadonlySet<boolean>>;
  readonly situations: number;
  /** Events after which the machine was broken. */
  readonly broken: ReadonlySet<string>;
}

const STRENGTH: readonly Effect[] = ['nothing', 'acts', 'moves'];

/** Sends every event in every situation that events can lead to, from the start. */
export function walk<Context>(plan: Plan<Context>): Walk {
  const answers = new Map<string, Set<boolean>>();
  const machine = observed(startedFrom(plan), answers);
  const states = statesOf(machine);
  const edges = edgesOf(machine);
  const edgeOf = new Map(edges.map((edge) => [edge.definition, edge]));
  const made = machineMadeEvents(edges, plan);
  const effects = new Map<string, Map<string, Effect>>();
  const successors = new Map<string, Set<string>>();
  const taken = new Set<Edge>();
  const broken = new Set<string>();
  const [first] = initialTransition(machine);
  // For each step it is asked for, XState makes an actor anew, whose first snapshot nobody reads.
  Object.assign(machine, { getInitialSnapshot: () => first });
  const queue = new Map<string, AnyMachineSnapshot>([[situationOf(plan, first), first]]);
  for (const snapshot of queue.values()) {
    const leaf = pathFrom(snapshot.value);
    const effectsHere = getOrAdd(effects, leaf, () => new Map<string, Effect>());
    const events = [...made, ...Object.entries(plan.variants(snapshot.context))];
    for (const [type, variants] of events) {
      // The end of a timer or actor that does not run is the same in every situation: one is enough for each state.
      if (effectsHere.has(type) && !couldArrive(type, leaf, edges)) continue;
      for (const event of variants) {
        const selected = selectedBy(machine, snapshot, event).map((definition) => edgeOf.get(definition)!);
        const effect = effectOf(selected);
        const known = effectsHere.get(type) ?? 'nothing';
        effectsHere.set(type, STRENGTH[Math.max(STRENGTH.indexOf(known), STRENGTH.indexOf(effect))]!);
        const steps = selected.length > 0 || isFailure(type) ? stepsOf(machine, snapshot, event) : [];
        const next = steps.at(-1) ?? snapshot;
        if (next.status === 'error') broken.add(`${type} in ${leaf}`);
        for (const edge of [...selected, ...eventlessAmong(steps, edges, states)]) taken.add(edge);
        if (next === snapshot || next.status === 'error') continue;
        getOrAdd(successors, leaf, () => new Set()).add(pathFrom(next.value));
        const situation = situationOf(plan, next);
        if (!queue.has(situation)) queue.set(situation, next);
      }
    }
  }
  const leaves = states.filter(({ children }) => children.length === 0).map(({ path }) => path);
  const events = [...Object.keys(plan.variants(first.context)), ...made.map(([type]) => type)];
  return { states, edges, leaves, events, effects, answers, taken, successors, situations: queue.size, broken };
}

/** The same machine with its first context in place: XState makes the first snapshot anew for every step it is asked for. */
function startedFrom({ machine, input }: Pick<Plan<never>, 'machine' | 'input'>): AnyStateMachine {
  const [{ context }] = initialTransition(machine, input);
  return createMachine({ ...machine.config, context }, machine.implementations);
}

/** The machine with guards that note their answers. */
function observed(machine: AnyStateMachine, answers: Map<string, Set<boolean>>): AnyStateMachine {
  const guards = Object.entries(machine.implementations.guards ?? {}).map(([name, guard]) => [
    name,
    (...args: unknown[]) => {
      const answer = (guard as (...args: unknown[]) => boolean)(...args);
      getOrAdd(answers, name, () => new Set()).add(answer);
      return answer;
    },
  ]);
  return machine.provide({ guards: Object.fromEntries(guards) });
}

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  const held = map.get(key) ?? create();
  map.set(key, held);
  return held;
}

function situationOf<Context>({ situationIn }: Plan<Context>, snapshot: AnyMachineSnapshot): string {
  const path = pathFrom(snapshot.value);
  return `${path} ${JSON.stringify(situationIn(snapshot.context, path))}`;
}

function effectOf(selected: readonly Edge[]): Effect {
  if (selected.some(({ target }) => target !== null)) return 'moves';
  return selected.some(({ actions }) => actions.length > 0) ? 'acts' : 'nothing';
}

/** What the machine's own timers and actors send, in every form. */
function machineMadeEvents(
  edges: readonly Edge[],
  { outputs, errors }: Pick<Plan<never>, 'outputs' | 'errors'>,
): [string, AnyEventObject[]][] {
  const types = new Map(edges.filter(isMachineMade).map((edge) => [edge.event, edge]));
  return [...types].map(([type, { kind, trigger }]) => {
    if (kind === 'done') return [type, (outputs[trigger] ?? [undefined]).map((output) => ({ type, output }))];
    if (kind === 'error') return [type, errors.map((error) => ({ type, error }))];
    return [type, [{ type }]];
  });
}

/** Whether it waits for what the machine itself sends: the end of a timer or of an actor that runs in the state. */
export function isMachineMade({ kind, event }: Edge): boolean {
  return kind === 'done' || kind === 'after' || (kind === 'error' && !event.endsWith('*'));
}

function couldArrive(type: string, leaf: string, edges: readonly Edge[]): boolean {
  const owners = edges.filter((edge) => edge.event === type && isMachineMade(edge)).map(({ from }) => from);
  return owners.length === 0 || owners.some((owner) => isWithin(leaf, owner));
}

/** A machine that is done hears nothing. */
function selectedBy(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: AnyEventObject) {
  return snapshot.status === 'active' ? machine.getTransitionData(snapshot, event) : [];
}

function isFailure(type: string): boolean {
  return type.startsWith('xstate.error.');
}

function stepsOf(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: AnyEventObject): AnyMachineSnapshot[] {
  return getMicrosteps(machine, snapshot, event).map(([step]) => step);
}

/** The edges that were taken without an event, told by the states before and after each small step. */
function eventlessAmong(
  steps: readonly AnyMachineSnapshot[],
  edges: readonly Edge[],
  states: readonly State[],
): Edge[] {
  const paths = steps.map(({ value }) => pathFrom(value));
  return paths.slice(1).map((path, index) => {
    const before = paths[index]!;
    const candidates = edges.filter(
      ({ kind, from, target }) =>
        kind === 'always' && isWithin(before, from) && target !== null && leafIn(states, target) === path,
    );
    if (candidates.length !== 1) throw new Error(`${candidates.length} edges lead from ${before} to ${path} at once`);
    return candidates[0]!;
  });
}
