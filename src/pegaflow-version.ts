/** The pegaflow release whose wire contract this package speaks, as client and as engine. Servers demand equality to the byte. */
export const PEGAFLOW_VERSION = '0.23.12';
