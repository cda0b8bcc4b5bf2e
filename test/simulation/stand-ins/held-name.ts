/** In the place of `src/rpc/holder/held-name.ts`: names of the simulated host. */
import type * as real from '../../../src/rpc/holder/held-name.ts';
import { kernel } from '../kernel.ts';

export async function holdName(name: string): Promise<Disposable | null> {
  const { heldNames, loop } = kernel();
  if (heldNames.has(name)) return null;
  const holder = {};
  const release = () => {
    if (heldNames.get(name) === holder) heldNames.delete(name);
  };
  heldNames.set(name, holder);
  loop.current.atExit.push(release);
  return { [Symbol.dispose]: release };
}

holdName satisfies typeof real.holdName;
