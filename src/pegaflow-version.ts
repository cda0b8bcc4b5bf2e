import { newestTestedVersion } from '../machines/index.ts';

/** The pegaflow release that the embedded engine is. */
export const PEGAFLOW_VERSION: string = newestTestedVersion;
