import { expect, it } from 'vitest';
import { testedServerVersions } from '../../src/index.ts';
import { own } from '../support/own.ts';
import { RealServer } from '../support/real-server.ts';
import { describeVersionChanges } from '../support/version-changes.ts';
import { type PublishedVersion, publishedVersions } from './published-wheels.ts';

it('the versions that a connector takes by default are those that are tested here', () => {
  expect(testedServerVersions).toEqual(publishedVersions.toReversed());
});

describeVersionChanges('published pegaflow-server', async (version, before) => {
  const addresses = before ? { addr: before.grpcAddress, httpAddr: before.httpAddress } : {};
  return own(await RealServer.start({ version: version as PublishedVersion, ...addresses }));
});
