/**
 * To be loaded before the product (`node --import`): puts stand-ins in the place of the modules that touch the
 * operating system, applies a mutant where one is named, and makes time and randomness those of the simulation.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutantBy } from './mutants.ts';
import './simulated-globals.ts';

const root = new URL('../../', import.meta.url).href;

const standIns: Readonly<Record<string, string>> = {
  'src/rpc/grpc-transport.ts': 'grpc-transport.ts',
  'src/rpc/holder/held-name.ts': 'held-name.ts',
  'src/rpc/link.ts': 'link.ts',
  'src/rpc/holder/memory-holder.ts': 'memory-holder.ts',
  'src/rpc/holder/socket-owner.ts': 'socket-owner.ts',
  'native-bindings/index.ts': 'native-bindings.ts',
};

const mutant = mutantBy(process.env['SIMULATION_MUTANT'] ?? null);

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const standIn = resolved.url.startsWith(root) ? standIns[resolved.url.slice(root.length)] : undefined;
    return standIn === undefined ? resolved : nextResolve(`${root}test/simulation/stand-ins/${standIn}`, context);
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (mutant === null || url !== `${root}${mutant.file}`) return loaded;
    return { ...loaded, source: mutated(readFileSync(fileURLToPath(url), 'utf8')) };
  },
});

function mutated(source: string): string {
  if (mutant === null) return source;
  const pieces = source.split(mutant.find);
  if (pieces.length !== 2) {
    throw new Error(`mutant "${mutant.name}": its text occurs ${pieces.length - 1} times in ${mutant.file}, not once`);
  }
  return pieces.join(mutant.replace);
}
