import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition } from 'xstate';

/** One way from a state: what sets it off, on which condition, where it leads. */
export interface Edge {
  /** Path of the state it leaves; empty for the machine itself. */
  readonly from: string;
  /** `done` and `error` are the two ends of an actor that the state runs. */
  readonly kind: 'on' | 'after' | 'always' | 'done' | 'error';
  /** The event, delay or actor by its name in the machine's file; empty where nothing is waited for. */
  readonly trigger: string;
  /** Type of the event as the machine receives it; empty where nothing is waited for. */
  readonly event: string;
  readonly guard: string | null;
  /** Path of the state it enters; `null` where it only acts or does nothing. */
  readonly target: string | null;
  readonly actions: readonly string[];
  /** The definition that the machine selects when it takes this edge. */
  readonly definition: AnyTransitionDefinition;
}

export interface State {
  readonly path: string;
  /** What the machine does there; empty where it does not say. */
  readonly description: string;
  /** Paths of the states inside, in the order of the file. */
  readonly children: readonly string[];
  /** Path of the state that is entered first; `null` without states inside. */
  readonly initial: string | null;
  readonly isFinal: boolean;
  readonly tags: readonly string[];
  /** Names of the actors that run while it is active. */
  readonly actors: readonly string[];
}

/** Every state of a machine, outermost first; the machine itself is the first, with an empty path. */
export function statesOf(machine: AnyStateMachine): State[] {
  return nodesOf(machine.root).map((node) => {
    const initial = node.initial?.target[0];
    return {
      path: pathOf(node),
      description: node.description ?? '',
      children: Object.values(node.states).map(pathOf),
      initial: initial ? pathOf(initial) : null,
      isFinal: node.type === 'final',
      tags: node.tags,
      actors: node.invoke.map(({ src }) => String(src)),
    };
  });
}

/** Every edge of a machine, in the order in which the machine tries them. */
export function edgesOf(machine: AnyStateMachine): Edge[] {
  return nodesOf(machine.root).flatMap((node) => {
    const waiting = [...node.transitions].flatMap(([event, definitions]) =>
      definitions.map((definition) => edge(node, definition, event)),
    );
    return [...waiting, ...(node.always ?? []).map((definition) => edge(node, definition, ''))];
  });
}

/** Path of the innermost state that is active once the state at `path` was entered. */
export function leafIn(states: readonly State[], path: string): string {
  const initial = states.find((state) => state.path === path)?.initial;
  return initial == null ? path : leafIn(states, initial);
}

/** Whether a state is `ancestor` or lies inside it; the empty path holds every state. */
export function isWithin(path: string, ancestor: string): boolean {
  return ancestor === '' || path === ancestor || path.startsWith(`${ancestor}.`);
}

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}

function pathOf(node: AnyStateNode): string {
  return node.path.join('.');
}

function edge(node: AnyStateNode, definition: AnyTransitionDefinition, event: string): Edge {
  const target = definition.target?.[0];
  return {
    from: pathOf(node),
    ...triggerOf(node, event),
    event,
    guard: nameOf(definition.guard),
    target: target ? pathOf(target) : null,
    actions: definition.actions.map((action) => nameOf(action) ?? 'inline'),
    definition,
  };
}

function triggerOf(node: AnyStateNode, event: string): Pick<Edge, 'kind' | 'trigger'> {
  if (event === '') return { kind: 'always', trigger: '' };
  for (const { id, src } of node.invoke) {
    if (event === `xstate.done.actor.${id}`) return { kind: 'done', trigger: String(src) };
    if (event === `xstate.error.actor.${id}`) return { kind: 'error', trigger: String(src) };
  }
  const failure = 'xstate.error.actor.';
  if (event.startsWith(failure)) return { kind: 'error', trigger: event.slice(failure.length) };
  const after = 'xstate.after.';
  if (event.startsWith(after)) return { kind: 'after', trigger: event.slice(after.length, -`.${node.id}`.length) };
  return { kind: 'on', trigger: event };
}

function nameOf(reference: unknown): string | null {
  if (reference === undefined) return null;
  if (typeof reference === 'string') return reference;
  if (typeof reference === 'object' && reference !== null && 'type' in reference) return String(reference.type);
  // What `not(guard)` makes.
  if (typeof reference === 'function' && 'guards' in reference && Array.isArray(reference.guards)) {
    return `not ${nameOf(reference.guards[0])}`;
  }
  return 'inline';
}
