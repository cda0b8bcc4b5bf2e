/** Which moment is looked at: the newest, one that was picked, or one that moves. Pure: told the time. */

/**
 * @typedef {object} Player
 * @property {number | null} atMs `null` follows the newest
 * @property {boolean} isPlaying
 * @property {number} speed
 */

/** @returns {Player} */
export function createPlayer() {
  return { atMs: null, isPlaying: false, speed: 1 };
}

/** @param {Player} player @param {number} atMs @param {{ readonly fromMs: number; readonly endMs: number }} range */
export function seek(player, atMs, { fromMs, endMs }) {
  player.atMs = Math.min(endMs, Math.max(fromMs, atMs));
}

/** From the end it begins anew, as a film does. @param {Player} player @param {{ readonly fromMs: number; readonly endMs: number }} range */
export function togglePlay(player, { fromMs, endMs }) {
  player.isPlaying = !player.isPlaying;
  if (player.isPlaying && (player.atMs ?? endMs) >= endMs) player.atMs = fromMs;
}

/** @param {Player} player */
export function follow(player) {
  Object.assign(player, { atMs: null, isPlaying: false });
}

/**
 * @param {Player} player
 * @param {number} elapsedMs Of real time
 * @param {number} endMs
 */
export function advance(player, elapsedMs, endMs) {
  if (!player.isPlaying || player.atMs === null) return;
  player.atMs += elapsedMs * player.speed;
  if (player.atMs < endMs) return;
  Object.assign(player, { atMs: endMs, isPlaying: false });
}
