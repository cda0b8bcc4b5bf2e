import type { ElkEdgeSection, ElkExtendedEdge, ElkNode } from 'elkjs';
import type { AnyStateMachine } from 'xstate';
import { graphOf, LETTER_PX, LINE_PX, placed } from './layout.ts';

/** An edge and the line that stands for it, which it may share. */
export interface PlacedEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly line: ElkExtendedEdge;
}

/**
 * A machine in so little room that a screen holds it: without labels of lines and what runs in a state, and with a line
 * between the two outermost states that it leads from and to, whatever lies inside them.
 */
export async function layOutCompactly(machine: AnyStateMachine): Promise<{ layout: ElkNode; edges: PlacedEdge[] }> {
  const { children = [], edges = [] } = graphOf(machine);
  const starts = edges.filter(({ sources }) => isStart(sources[0] ?? ''));
  const lineOf = new Map(edges.filter((edge) => !starts.includes(edge)).map((edge) => [edge.id, lift(edge)]));
  const lines = new Map<string, Line>();
  for (const line of lineOf.values()) lines.set(line.id, line);
  const layout = await placed({
    id: 'machine',
    layoutOptions: { ...SPACING, 'elk.direction': 'RIGHT', 'elk.padding': '[top=4,left=4,bottom=4,right=4]' },
    children: compacted(children, lines),
    edges: within('', lines),
  });
  const drawn = new Map(edgesIn(layout).map((edge) => [edge.id, edge]));
  for (const { id, sources, targets } of starts) {
    const initial = nodesIn(layout).find((node) => node.id === targets[0]);
    const [start, line] = startAt(sources[0] ?? '', initial?.x ?? 0, initial?.y ?? 0);
    const parent = nodesIn(layout).find(({ children = [] }) => initial && children.includes(initial));
    parent?.children?.unshift(start);
    lineOf.set(id, { id, from: '', to: '', inside: '' });
    drawn.set(id, { id, sources, targets, sections: [line] });
  }
  return {
    layout,
    edges: edges.map((edge) => {
      const [from = '', to = ''] = [...edge.sources, ...edge.targets];
      const line = drawn.get(lineOf.get(edge.id)?.id ?? '');
      if (!line) throw new Error(`no line is drawn for "${edge.id}"`);
      return { id: edge.id, from, to, line };
    }),
  };
}

interface Line {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Path of the state that it lies in; empty for the machine. */
  readonly inside: string;
}

const SPACING = {
  'elk.algorithm': 'layered',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
  'elk.randomSeed': '1',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.spacing.nodeNode': '12',
  'elk.spacing.edgeEdge': '7',
  'elk.spacing.edgeNode': '8',
  'elk.layered.spacing.nodeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '7',
  'elk.layered.spacing.edgeNodeBetweenLayers': '8',
};

/** Where a state begins: a dot at the corner of the one inside that is entered, which needs no room of its own. */
function startAt(id: string, x: number, y: number): [ElkNode, ElkEdgeSection] {
  const [width, gap] = [7, 4];
  const middle = { x: x - gap, y: y - gap };
  const node = { id, x: middle.x - width / 2, y: middle.y - width / 2, width, height: width };
  return [node, { id, startPoint: middle, endPoint: { x: x + 1.5, y: y + 1.5 } }];
}

function isStart(id: string): boolean {
  return id.endsWith('!');
}

function compacted(nodes: readonly ElkNode[], lines: ReadonlyMap<string, Line>): ElkNode[] {
  return nodes.filter(({ id }) => !isStart(id)).map((node) => compact(node, lines));
}

function compact(node: ElkNode, lines: ReadonlyMap<string, Line>): ElkNode {
  const [name = {}] = node.labels ?? [];
  const size = { width: (name.text ?? '').length * LETTER_PX * 1.15 + 14, height: LINE_PX + 9 };
  if (node.children === undefined) return { id: node.id, labels: [name], ...size };
  return {
    id: node.id,
    labels: [name],
    children: compacted(node.children, lines),
    edges: within(node.id, lines),
    layoutOptions: {
      ...SPACING,
      'elk.direction': 'DOWN',
      'elk.padding': '[top=28,left=10,bottom=10,right=10]',
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${size.width + 6},${size.height})`,
    },
  };
}

/** From the outermost state that holds the one end alone to that of the other. */
function lift({ sources, targets }: ElkExtendedEdge): Line {
  const [from, to] = [around(sources[0] ?? ''), around(targets[0] ?? '')];
  let level = 0;
  while (level < Math.min(from.length, to.length) - 1 && from[level] === to[level]) level += 1;
  const ends = { from: from[level] ?? '', to: to[level] ?? '' };
  return { id: `${ends.from} to ${ends.to}`, ...ends, inside: from[level - 1] ?? '' };
}

/** Paths of the states that a state lies in, outermost first, itself last. */
function around(path: string): string[] {
  const names = path.split('.');
  return names.map((_, level) => names.slice(0, level + 1).join('.'));
}

function within(path: string, lines: ReadonlyMap<string, Line>): ElkExtendedEdge[] {
  const inside = [...lines.values()].filter((line) => line.inside === path);
  return inside.map(({ id, from, to }) => ({ id, sources: [from], targets: [to] }));
}

function edgesIn(node: ElkNode): ElkExtendedEdge[] {
  return [...(node.edges ?? []), ...(node.children ?? []).flatMap(edgesIn)];
}

function nodesIn(node: ElkNode): ElkNode[] {
  return [node, ...(node.children ?? []).flatMap(nodesIn)];
}
