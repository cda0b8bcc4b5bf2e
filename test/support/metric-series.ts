/** Names, labels and bounds as Prometheus reads them. */
export const seriesOf = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [, name, labels = '', value] = /^([^{ ]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
        const kept = labels.split(/,(?=\w+=")/).filter((label) => label !== '' && !label.startsWith('otel_scope'));
        return [kept.length === 0 ? `${name}` : `${name}{${kept.join(',')}}`, Number(value)];
      }),
  );

/** The bounds of a histogram's buckets. */
export const boundsOf = (series: ReadonlyMap<string, number>, histogram: string): number[] => {
  const bounds = [...series.keys()]
    .filter((name) => name.startsWith(`${histogram}_bucket{`))
    .map((name) => Number(/le="([^"]+)"/.exec(name)?.[1]))
    .filter(Number.isFinite);
  return [...new Set(bounds)];
};
