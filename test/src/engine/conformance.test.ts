import { connectEngineProcess, connectOwnEngine } from './conformance/targets.ts';
import { describeConformance } from './conformance.ts';

describeConformance('the embedded engine in this process', connectOwnEngine);
describeConformance('the embedded engine in a process of its own', connectEngineProcess);
