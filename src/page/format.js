/** Numbers as people read them. */

/**
 * @param {number} ms
 * @returns {string} such as `0.4 ms`, `96 ms`, `1.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`
 */
export function duration(ms) {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/**
 * @param {number} atMs Wall time
 * @returns {string} local time, such as `14:03:07.250`
 */
export function clock(atMs) {
  const date = new Date(atMs);
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/**
 * @param {number} ms Since the beginning
 * @returns {string} such as `0:07.2` or `1:02:03.4`
 */
export function offset(ms) {
  const tenths = Math.max(0, Math.floor(ms / 100));
  const [hours, minutes] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60];
  const seconds = `${two(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${seconds}` : `${minutes}:${seconds}`;
}

/**
 * @param {readonly number[]} ranks In any order
 * @returns {string} such as `rank 3` or `ranks 0–2, 5`
 */
export function rankRange(ranks) {
  const sorted = [...new Set(ranks)].sort((a, b) => a - b);
  /** @type {[number, number][]} */
  const runs = [];
  for (const rank of sorted) {
    const last = runs.at(-1);
    if (last && last[1] === rank - 1) last[1] = rank;
    else runs.push([rank, rank]);
  }
  const shown = runs.slice(0, 4).map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`));
  const rest = runs.length > 4 ? `, … (${sorted.length} of them)` : '';
  return `${sorted.length === 1 ? 'rank' : 'ranks'} ${shown.join(', ')}${rest}`;
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, '0');
}
