/** Which server the connectors are measured with. */
import { EngineProcess } from './engine-process.ts';
import type { MeasuredServer } from './measured-server.ts';

export interface ServerChoice {
  readonly name: 'engine' | 'pegaflow-server';
  readonly version: string;
  /** Of its command; `null` for the embedded engine. */
  readonly path: string | null;
  /** With a device for each rank. */
  start(deviceCount: number): Promise<MeasuredServer>;
}

export const embeddedEngine: ServerChoice = {
  name: 'engine',
  version: EngineProcess.version,
  path: null,
  start: () => EngineProcess.start(),
};
