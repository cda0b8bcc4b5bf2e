/** A statechart with the state it is in, and the way it went. */
/** @import { Chart, ChartNode } from '../../feed/record.ts' */
/** @import { Step } from '../history.js' */
import { drawing, setAttribute, setText } from '../dom.js';
import { isWithin, topOf } from '../states.js';

/**
 * @param {HTMLElement} host
 * @param {string} name Names the chart for a screen reader, and its markers
 */
export function createChartView(host, name) {
  /** @type {ReturnType<typeof draw> | null} */
  let drawn = null;
  /** @type {Chart | null} */
  let chart = null;
  let shown = '';
  return {
    /**
     * @param {Chart | null} next
     * @param {Step | null} step The one it is in
     * @param {readonly Step[]} trail Those before it that are marked as the way it went
     */
    update(next, step, trail) {
      if (next !== chart) {
        chart = next;
        drawn = chart && draw(chart, name);
        host.replaceChildren(...(drawn ? [drawn.svg] : []));
        shown = '';
      }
      const key = `${step?.atMs} ${step?.state} ${trail.length} ${trail[0]?.atMs}`;
      if (!chart || !drawn || key === shown) return;
      shown = key;
      mark(chart, drawn, step, trail);
      setText(drawn.title, step ? `${name}: in ${step.state}` : `${name}: nothing known yet`);
    },
  };
}

/** @param {Chart} chart @param {string} name */
function draw(chart, name) {
  const id = name.replaceAll(' ', '-');
  const title = drawing('title');
  const svg = drawing(
    'svg',
    { class: 'chart', viewBox: `0 0 ${Math.ceil(chart.width)} ${Math.ceil(chart.height)}`, role: 'img' },
    [
      title,
      drawing(
        'defs',
        {},
        ['tip', 'tip-trail', 'tip-taken'].map((tip) => marker(`${id}-${tip}`, tip)),
      ),
    ],
  );
  /** Several edges may share one line. @type {Map<string, SVGElement>} */
  const lines = new Map();
  const nodes = [...chart.nodes].sort((a, b) => a.path.split('.').length - b.path.split('.').length);
  /** @type {Map<string, SVGElement>} */
  const groups = new Map(nodes.map((node) => [node.path, shape(node)]));
  for (const edge of chart.edges.filter(({ points }) => points.length > 0)) {
    const key = pathOf(edge);
    const isStart = edge.from.endsWith('!');
    const tip = isStart ? {} : { 'marker-end': `url(#${id}-tip)` };
    const line = lines.get(key) ?? drawing('path', { class: isStart ? 'line from-start' : 'line', d: key, ...tip });
    lines.set(key, line);
  }
  svg.append(...groups.values(), ...lines.values());
  return { svg, title, groups, lines, id };
}

/** @param {Chart} chart @param {ReturnType<typeof draw>} drawn @param {Step | null} step @param {readonly Step[]} trail */
function mark(chart, { groups, lines, id }, step, trail) {
  for (const [path, group] of groups) {
    const holds = step !== null && isWithin(step.state, path);
    setAttribute(group, 'data-active', holds ? (step.state === path ? 'leaf' : 'outer') : null);
    setAttribute(group, 'data-state', holds ? topOf(step.state) : null);
  }
  const lineOf = new Map(chart.edges.map((edge) => [edge.id, pathOf(edge)]));
  const taken = lineOf.get(step?.edge ?? '');
  const way = new Set(trail.map(({ edge }) => lineOf.get(edge ?? '')));
  for (const [d, line] of lines) {
    const look = d === taken ? 'taken' : way.has(d) ? 'trail' : null;
    setAttribute(line, 'data-went', look);
    if (line.hasAttribute('marker-end')) setAttribute(line, 'marker-end', `url(#${id}-tip${look ? `-${look}` : ''})`);
    // The last one painted lies on top.
    if (look === 'taken') line.parentNode?.append(line);
  }
}

/** @param {ChartNode} node */
function shape({ path, label, description, x, y, width, height, kind }) {
  if (kind === 'start')
    return drawing('circle', { class: 'start', cx: x + width / 2, cy: y + height / 2, r: width / 2 });
  const at = kind === 'compound' ? { x: x + 9, y: y + 17 } : { x: x + width / 2, y: y + height / 2 + 4 };
  return drawing('g', { class: `node ${kind}`, 'data-path': path }, [
    drawing('rect', { x, y, width, height, rx: 5 }),
    drawing('text', at, [label]),
    ...(description ? [drawing('title', {}, [description])] : []),
  ]);
}

/** @param {Chart['edges'][number]} edge */
function pathOf({ points }) {
  return `M${points.map(({ x, y }) => `${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`).join('L')}`;
}

/** @param {string} id @param {string} className */
function marker(id, className) {
  return drawing(
    'marker',
    {
      id,
      class: className,
      viewBox: '0 0 8 8',
      refX: 7,
      refY: 4,
      markerWidth: 6,
      markerHeight: 6,
      orient: 'auto',
      markerUnits: 'userSpaceOnUse',
    },
    [drawing('path', { d: 'M0 0L8 4L0 8z' })],
  );
}
