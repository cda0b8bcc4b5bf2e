import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import type { PublishedVersion } from '../real/published-wheels.ts';

/** Of the published server that this run of the tests is about; `null`: it is about the embedded engine. */
export const publishedUnderTest = (process.env['PEGAFLOW_SERVER_UNDER_TEST'] ?? null) as PublishedVersion | null;

/** What clients of the server under test have to say that they are. */
export const versionUnderTest: string = publishedUnderTest ?? PEGAFLOW_VERSION;
