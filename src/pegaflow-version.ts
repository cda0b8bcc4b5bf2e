/** The pegaflow release that this package names as client and demands as engine. Servers demand equality to the byte. */
export const PEGAFLOW_VERSION = '0.25.1';
