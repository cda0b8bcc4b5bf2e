import type { ElkNode } from 'elkjs';
import type { AnyStateMachine } from 'xstate';
import type { Chart, ChartEdge, ChartNode } from '../../src/feed/record.ts';
import { ANY_STATE } from '../../src/feed/watch/edge-id.ts';
import { layOutCompactly, type PlacedEdge } from './compact-layout.ts';
import { type State, statesOf } from './edges.ts';
import { labelsOf } from './layout.ts';

/** A machine as the feed's readers draw it. */
export async function chartOf(machine: AnyStateMachine): Promise<Chart> {
  const { layout, edges } = await layOutCompactly(machine);
  const states = new Map(statesOf(machine).map((state) => [state.path, state]));
  const labels = labelsOf(machine);
  return {
    width: Math.ceil(layout.width ?? 0),
    height: Math.ceil(layout.height ?? 0),
    nodes: (layout.children ?? []).flatMap((node) => nodesIn(node, null, states)),
    edges: edges.map((edge) => edgeOf(edge, labels.get(edge.id) ?? [])),
  };
}

function nodesIn(node: ElkNode, parent: string | null, states: ReadonlyMap<string, State>): ChartNode[] {
  const { id, x = 0, y = 0, width = 0, height = 0, children = [] } = node;
  const state = states.get(id);
  const own: ChartNode = {
    path: id,
    label: node.labels?.[0]?.text ?? '',
    ...(state?.description ? { description: state.description } : {}),
    x: rounded(x),
    y: rounded(y),
    width: rounded(width),
    height: rounded(height),
    parent,
    kind: kindOf(id, state),
    tags: state?.tags ?? [],
    actors: state?.actors ?? [],
  };
  return [own, ...children.flatMap((child) => nodesIn(child, id, states))];
}

function kindOf(id: string, state: State | undefined): ChartNode['kind'] {
  if (id === ANY_STATE) return 'any';
  if (state === undefined) return 'start';
  if (state.isFinal) return 'final';
  return state.children.length > 0 ? 'compound' : 'atomic';
}

function edgeOf({ id, from, to, line: { sections = [] } }: PlacedEdge, texts: readonly string[]): ChartEdge {
  const points = sections.flatMap(({ startPoint, bendPoints = [], endPoint }) => [startPoint, ...bendPoints, endPoint]);
  return {
    id,
    from,
    to,
    label: texts.join('\n'),
    points: points.map(({ x, y }) => ({ x: rounded(x), y: rounded(y) })),
    labelAt: null,
  };
}

function rounded(px: number): number {
  return Math.round(px * 10) / 10;
}
