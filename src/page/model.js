/** What the parts of the page are drawn from. Types alone: nothing of it is loaded. */
/** @import { History } from './history.js' */
/** @import { Outage } from './outages.js' */
/** @import { Zoom } from './timeline/zoom.js' */

/**
 * All that a part of the page is drawn from.
 * @typedef {object} Model
 * @property {History} history
 * @property {string} instance The one that is shown
 * @property {number | null} selectedRank
 * @property {number} fromMs The first moment that is known
 * @property {number} endMs The last
 * @property {number} atMs The one that is shown
 * @property {boolean} isFollowing Whether that is always the newest
 * @property {boolean} isLive Whether more comes: not in a recording
 * @property {boolean} isPlaying
 * @property {readonly Outage[]} outages All that are known
 * @property {Zoom} zoom
 * @property {{ readonly fromMs: number; readonly toMs: number }} window What the timeline shows
 */

export {};
