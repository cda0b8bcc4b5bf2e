import { unlinkObject } from './object.ts';

const owned = new Set<string>();
let isListening = false;

/** Has the object unlinked when the process ends, as the memory of a device is freed then. A kill leaves it behind. */
export function ownAtExit(name: string): void {
  owned.add(name);
  if (isListening) return;
  isListening = true;
  process.on('exit', () => {
    for (const ownedName of owned) unlinkObject(ownedName);
  });
}

/** Ends what {@link ownAtExit} began, once the object is unlinked. */
export function disownAtExit(name: string): void {
  owned.delete(name);
}
