/** The records of a feed, live or recorded, as the server sends them. */
/** @import { FeedRecord, Header } from '../feed/record.ts' */

/** Where the browser itself gave up: it goes on by itself only when a connection broke. */
const RETRY_MS = 1000;

/**
 * @param {string} url
 * @param {object} listener
 * @param {(record: FeedRecord | Header) => void} listener.onRecord
 * @param {(isOpen: boolean) => void} listener.onOpen Told at every change of the connection
 * @param {() => void} listener.onCaughtUp Told when all that was told before has come
 */
export function listen(url, listener) {
  const { onRecord, onOpen, onCaughtUp } = listener;
  const source = new EventSource(url);
  let isRecording = false;
  source.onopen = () => onOpen(true);
  source.onmessage = ({ data }) => {
    const record = /** @type {FeedRecord | Header} */ (JSON.parse(data));
    if (record.type === 'header') isRecording = !record.isLive;
    onRecord(record);
  };
  source.addEventListener('caughtUp', () => {
    // All of a recording: the browser would read it again and again.
    if (isRecording) source.close();
    onCaughtUp();
  });
  source.onerror = () => {
    onOpen(false);
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => listen(url, listener), RETRY_MS);
  };
}
