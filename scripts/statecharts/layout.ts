import { createRequire } from 'node:module';
import type { ELK, ElkExtendedEdge, ElkNode } from 'elkjs';
import type { AnyStateMachine } from 'xstate';
import { ANY_STATE, edgeId } from '../../src/feed/watch/edge-id.ts';
import { budgetsOf } from './delay-names.ts';
import { type Edge, edgesOf, type State, statesOf } from './edges.ts';

// elkjs is CommonJS whose types name another shape than Node gives for an import.
const createElk: new () => ELK = createRequire(import.meta.url)('elkjs/lib/elk.bundled.js');

/** Width of one letter of the monospaced labels, and height of one line, in pixels. */
export const LETTER_PX = 6.1;
export const LINE_PX = 13;

/** A machine as boxes and lines, with places in pixels. A node's id is a state's path, or that with `!` for its start. */
export function layOut(machine: AnyStateMachine): Promise<ElkNode> {
  return placed(graphOf(machine));
}

/** A graph with places for all of it. */
export function placed(graph: ElkNode): Promise<ElkNode> {
  return new createElk().layout(graph);
}

/** What sets off each line that {@link layOut} draws, by the line's id. */
export function labelsOf(machine: AnyStateMachine): ReadonlyMap<string, readonly string[]> {
  return new Map(linesOf(machine).map(({ id, labels = [] }) => [id, labels.map(({ text = '' }) => text)]));
}

/** What {@link layOut} finds places for. */
export function graphOf(machine: AnyStateMachine): ElkNode {
  const states = statesOf(machine);
  const [root] = states;
  if (!root) throw new Error('a machine has no states');
  return {
    id: 'machine',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': 'DOWN',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
      'elk.json.edgeCoords': 'ROOT',
      'elk.json.shapeCoords': 'ROOT',
      'elk.randomSeed': '1',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
      'elk.spacing.nodeNode': '24',
      'elk.layered.spacing.nodeNodeBetweenLayers': '28',
      'elk.layered.spacing.edgeNodeBetweenLayers': '12',
      'elk.padding': '[top=16,left=16,bottom=16,right=16]',
    },
    children: [...boxesIn(root, states), anyState()],
    edges: [...startsOf(states), ...linesOf(machine)],
  };
}

const anyState = (): ElkNode => ({ id: ANY_STATE, width: 84, height: 26, labels: [{ text: ANY_STATE }] });

function boxesIn(parent: State, states: readonly State[]): ElkNode[] {
  const inside = parent.children.map((path) => states.find((state) => state.path === path)).filter((state) => !!state);
  const start: ElkNode[] = inside.length > 0 ? [{ id: `${parent.path}!`, width: 10, height: 10 }] : [];
  return [...start, ...inside.map((state) => box(state, states))];
}

function box(state: State, states: readonly State[]): ElkNode {
  const actors = state.actors.map((actor) => `runs ${actor}`);
  const name = state.path.split('.').at(-1) ?? '';
  const texts = [name, ...actors];
  const { width, height } = sizeOf(texts);
  const labels = texts.map((text) => ({ text }));
  if (state.children.length === 0) return { id: state.path, width, height, labels };
  return {
    id: state.path,
    labels,
    children: boxesIn(state, states),
    layoutOptions: {
      'elk.padding': `[top=${height + 8},left=14,bottom=14,right=14]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${width},${height})`,
    },
  };
}

/** Of a box that holds these lines, in pixels. */
function sizeOf(texts: readonly string[]): { readonly width: number; readonly height: number } {
  const letters = Math.max(...texts.map((text) => text.length));
  return { width: letters * LETTER_PX * 1.15 + 20, height: texts.length * (LINE_PX + 3) + 10 };
}

function startsOf(states: readonly State[]): ElkExtendedEdge[] {
  return states.flatMap(({ path, initial }) =>
    initial === null ? [] : [{ id: `start of ${path}`, sources: [`${path}!`], targets: [initial] }],
  );
}

/** One line for each pair of states that are linked, with all that leads along it; what only acts is not drawn. */
function linesOf(machine: AnyStateMachine): ElkExtendedEdge[] {
  const drawn = edgesOf(machine).filter(({ target }) => target !== null);
  const lines = Object.groupBy(drawn, ({ from, target }) => edgeId(from, target ?? ''));
  return Object.entries(lines).flatMap(([id, edges = []]) => {
    const [{ from, target } = { from: '', target: null }] = edges;
    if (target === null) return [];
    const texts = [...new Set(edges.map((edge) => textOf(machine, edge)))];
    const labels = texts.map((text) => ({ text, width: text.length * LETTER_PX + 6, height: LINE_PX }));
    return [{ id, sources: [from || ANY_STATE], targets: [target], labels }];
  });
}

function textOf(machine: AnyStateMachine, { kind, trigger, guard }: Edge): string {
  const cause = {
    on: trigger,
    after: `after ${kind === 'after' ? budgetsOf(machine, trigger).join(', ') : ''}`,
    always: '',
    done: `${trigger} done`,
    error: `${trigger} failed`,
  }[kind];
  return `${cause}${guard ? ` [${guard}]` : ''}`.trim() || 'otherwise';
}
