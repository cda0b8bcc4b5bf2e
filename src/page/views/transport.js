/** Moves through time: play, steps, the slider, speed and zoom, by pointer and by key. */
/** @import { Model } from '../model.js' */
/** @import { Zoom } from '../timeline/zoom.js' */
import { setAttribute, setText } from '../dom.js';
import { clock, offset } from '../format.js';

/** @type {Readonly<Record<string, Zoom>>} */
const ZOOMS = { '30s': { kind: 'last', ms: 30_000 }, '2min': { kind: 'last', ms: 120_000 }, all: { kind: 'all' } };

/**
 * @param {HTMLElement} host
 * @param {object} owner
 * @param {(atMs: number) => void} owner.seek
 * @param {() => void} owner.togglePlay
 * @param {(direction: 1 | -1) => void} owner.step
 * @param {() => void} owner.follow
 * @param {(speed: number) => void} owner.setSpeed
 * @param {(zoom: Zoom) => void} owner.setZoom
 */
export function createTransport(host, owner) {
  const part = (/** @type {string} */ name) => {
    const found = host.querySelector(`[name="${name}"]`);
    if (!found) throw new Error(`the transport has no "${name}"`);
    return /** @type {HTMLInputElement} */ (found);
  };
  const [play, back, forth, slider, speed, live] = ['play', 'back', 'forth', 'at', 'speed', 'live'].map(part);
  const time = host.querySelector('output');
  if (!play || !back || !forth || !slider || !speed || !live || !time) throw new Error('the transport is incomplete');
  /** @type {Model | null} */
  let model = null;
  play.addEventListener('click', owner.togglePlay);
  back.addEventListener('click', () => owner.step(-1));
  forth.addEventListener('click', () => owner.step(1));
  live.addEventListener('click', owner.follow);
  speed.addEventListener('change', () => owner.setSpeed(Number(speed.value)));
  slider.addEventListener('input', () => {
    if (model) owner.seek(model.fromMs + Number(slider.value));
  });
  host.addEventListener('click', ({ target }) => {
    const zoom = target instanceof Element ? ZOOMS[target.getAttribute('data-zoom') ?? ''] : undefined;
    if (zoom) owner.setZoom(zoom);
  });
  addEventListener('keydown', (event) => {
    const { key, ctrlKey, metaKey, altKey, target } = event;
    if (ctrlKey || metaKey || altKey || (target instanceof Element && target.matches('select'))) return;
    const isButton = target instanceof HTMLButtonElement;
    if (key === 'ArrowLeft' || key === 'ArrowRight') owner.step(key === 'ArrowLeft' ? -1 : 1);
    else if (key === ' ' && !isButton) owner.togglePlay();
    else if (key === 'End') owner.follow();
    else if (key === 'Home' && model) owner.seek(model.fromMs);
    else return;
    event.preventDefault();
  });
  return {
    /** @param {Model} next */
    update(next) {
      model = next;
      const { fromMs, endMs, atMs, isFollowing, isLive, isPlaying, zoom } = next;
      const hasTime = endMs > fromMs;
      setAttribute(slider, 'max', String(hasTime ? Math.ceil(endMs - fromMs) : 1));
      slider.value = String(hasTime ? Math.round(atMs - fromMs) : 0);
      const when = hasTime ? `${clock(atMs)} · ${offset(atMs - fromMs)} of ${offset(endMs - fromMs)}` : '';
      setAttribute(slider, 'aria-valuetext', when);
      setText(time, when);
      setAttribute(play, 'aria-label', isPlaying ? 'pause' : 'play');
      setAttribute(play, 'data-playing', String(isPlaying));
      setAttribute(live, 'aria-pressed', String(isFollowing));
      setText(live, isLive ? 'live' : 'end');
      for (const button of host.querySelectorAll('[data-zoom]')) {
        const own = ZOOMS[button.getAttribute('data-zoom') ?? ''];
        setAttribute(button, 'aria-pressed', String(JSON.stringify(own) === JSON.stringify(zoom)));
      }
    },
  };
}
