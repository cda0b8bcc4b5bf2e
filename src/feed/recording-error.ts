/** A recording that cannot be read, or cannot be begun; the message names the file, and the line. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}
