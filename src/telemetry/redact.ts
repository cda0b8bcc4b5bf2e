/** Long hexadecimal runs, dashed or not: block hashes, leases and handles look like this where somebody prints them. */
const SECRET = /[0-9a-f]{8}(?:-?[0-9a-f]{4,}){2,}/gi;

const SHOWN_CHARACTERS = 8;

/** `text` with a short prefix in the place of whatever could be a hash, a lease or a handle; `own` ids stay readable. */
export function redacted(text: string, own: string): string {
  return text.replace(SECRET, (found) => (own.includes(found) ? found : `${found.slice(0, SHOWN_CHARACTERS)}…`));
}
