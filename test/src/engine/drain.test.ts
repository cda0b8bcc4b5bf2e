import { PEGAFLOW_VERSION } from '../../../src/pegaflow-version.ts';
import { EngineProcess } from '../../support/engine-process.ts';
import { describeDrain } from './describe-drain.ts';

describeDrain('the embedded engine', PEGAFLOW_VERSION, () => EngineProcess.start());
