import type { ElkExtendedEdge, ElkNode, ElkPoint } from 'elkjs';
import type { State } from './edges.ts';
import { LINE_PX } from './layout.ts';

const STYLE = `
  svg { --ink: #1f2328; --paper: #ffffff; --box: #f6f8fa; --leaf: #ffffff; --line: #57606a; --mark: #0969da; --word: #6639ba }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --paper: #0d1117; --box: #161b22; --leaf: #21262d; --line: #8b949e; --mark: #58a6ff; --word: #d2a8ff }
  }
  text { font: 10px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--ink) }
  .paper { fill: var(--paper) }
  .box { fill: var(--box); stroke: var(--line) }
  .leaf { fill: var(--leaf) }
  .final { stroke-width: 3 }
  .any { stroke-dasharray: 4 3 }
  .name { font-size: 11.5px; font-weight: 600 }
  .actor { fill: var(--mark); font-size: 10px }
  .line { fill: none; stroke: var(--line) }
  .start { fill: var(--ink) }
  .word { fill: var(--word); paint-order: stroke; stroke: var(--paper); stroke-width: 3px }
  marker path { fill: var(--line) }`;

/** A laid-out machine as a picture for light and dark paper, without scripts and fonts of its own. */
export function svgFrom(title: string, layout: ElkNode, states: readonly State[]): string {
  const kindOf = new Map(states.map((state) => [state.path, state]));
  const [width, height] = [Math.ceil(layout.width ?? 0), Math.ceil(layout.height ?? 0)];
  const lines = (layout.edges ?? []).flatMap(lineOf);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
      '<path d="M0 0L8 4L0 8z"/></marker>',
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...(layout.children ?? []).flatMap((node) => shapesOf(node, kindOf)),
    ...lines,
    ...(layout.edges ?? []).flatMap(wordsOf),
    '</svg>',
    '',
  ].join('\n');
}

/** Outer boxes first, so that the inner ones lie on them. */
function shapesOf(node: ElkNode, kindOf: ReadonlyMap<string, State>): string[] {
  const [x, y, width, height] = [node.x, node.y, node.width, node.height].map((value) => rounded(value ?? 0));
  if (x === undefined || y === undefined || width === undefined || height === undefined) return [];
  if (node.id.endsWith('!')) return [`<circle class="start" cx="${x + 5}" cy="${y + 5}" r="5"/>`];
  const state = kindOf.get(node.id);
  const classes = ['box', node.children ? '' : 'leaf', state?.isFinal ? 'final' : '', state ? '' : 'any'];
  const rect =
    `<rect class="${classes.filter(Boolean).join(' ')}" x="${x}" y="${y}" width="${width}" height="${height}" ` +
    'rx="6"/>';
  const texts = (node.labels ?? []).map(
    ({ text = '' }, row) =>
      `<text class="${row === 0 ? 'name' : 'actor'}" x="${x + 10}" y="${y + 18 + row * (LINE_PX + 3)}">` +
      `${escaped(text)}</text>`,
  );
  return [rect, ...texts, ...(node.children ?? []).flatMap((child) => shapesOf(child, kindOf))];
}

function lineOf({ sections = [] }: ElkExtendedEdge): string[] {
  return sections.map(({ startPoint, bendPoints = [], endPoint }) => {
    const points = [startPoint, ...bendPoints, endPoint].map(({ x, y }: ElkPoint) => `${rounded(x)} ${rounded(y)}`);
    return `<path class="line" marker-end="url(#tip)" d="M${points.join('L')}"/>`;
  });
}

function wordsOf({ labels = [] }: ElkExtendedEdge): string[] {
  return labels.map(
    ({ text = '', x = 0, y = 0 }) =>
      `<text class="word" x="${rounded(x + 3)}" y="${rounded(y + LINE_PX - 3)}">${escaped(text)}</text>`,
  );
}

function rounded(px: number): number {
  return Math.round(px * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
