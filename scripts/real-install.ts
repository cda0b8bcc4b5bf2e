#!/usr/bin/env node
/** Fetches published servers and clients of PegaFlow and makes them runnable without a GPU. */
import { relative } from 'node:path';
import { UsageError } from '../src/usage-error.ts';
import { install } from '../test/real/install.ts';
import { installationOf } from '../test/real/installation.ts';
import { isPublished, type PublishedVersion, publishedVersions } from '../test/real/published-wheels.ts';
import { findPython } from '../test/real/python.ts';
import { runTool, toolCommand } from './tool-command.ts';

const command = toolCommand(
  'real:install',
  'Fetch the published pegaflow-server and its Python client into .real/, with stand-ins for CUDA and torch',
)
  .argument('[versions...]', `versions of pegaflow-llm (default: ${publishedVersions.join(' ')})`)
  .action(installAll);

await runTool(command);

function installAll(given: readonly string[]): void {
  const versions = given.length === 0 ? publishedVersions : given.map(versionFrom);
  const python = findPython();
  for (const version of versions) {
    const did = install(version, python);
    const { server } = installationOf(version);
    process.stdout.write(`pegaflow-server ${version}: ${did}, ${relative('.', server)} (Python ${python.version})\n`);
  }
}

function versionFrom(text: string): PublishedVersion {
  if (isPublished(text)) return text;
  throw new UsageError(`no version ${text} is known here: ${publishedVersions.join(', ')}`);
}
