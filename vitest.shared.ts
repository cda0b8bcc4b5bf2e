import { fileURLToPath } from 'node:url';

export const sharedOptions = {
  testTimeout: 30_000,
  hookTimeout: 30_000,
  // Files start processes of their own: more at a time than cores only makes them wait for each other.
  maxWorkers: 2,
  // Hundreds of processes compile the same modules: a third of the CPU time of each start.
  env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node-compile', import.meta.url)) },
};
