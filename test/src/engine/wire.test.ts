import { EngineProcess } from '../../support/engine-process.ts';
import { describeWire } from './describe-wire.ts';

describeWire('the embedded engine', () => EngineProcess.start());
