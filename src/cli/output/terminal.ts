/**
 * The border to the terminal: whatever is printed passes here. What came from another process may hold characters that a
 * terminal obeys, or that show a line in another order than it is read: they are shown, as JSON would write them.
 */

/** Controls (C0, C1), format characters (bidirectional overrides, tags, joiners), separators of lines, halves of pairs. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A piece of a line: line ends are shown too, or it could pass for lines of ours. */
export function visible(text: string): string {
  return text.replace(OBEYED, escapeOf);
}

/** Lines of ours whose pieces are visible; only their ends are obeyed. */
export function visibleLines(text: string): string {
  return text.replace(OBEYED, (character) => (character === '\n' ? character : escapeOf(character)));
}

/** Prints whole lines of ours. */
export function print(stream: NodeJS.WritableStream, lines: string): void {
  stream.write(`${visibleLines(lines)}\n`);
}

/** Prints one line, whatever is in it. */
export function printLine(stream: NodeJS.WritableStream, line: string): void {
  stream.write(`${visible(line)}\n`);
}

function escapeOf(character: string): string {
  let escaped = '';
  for (let at = 0; at < character.length; at += 1) {
    escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
