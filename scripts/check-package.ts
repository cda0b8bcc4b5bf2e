/** Packs the package, installs it into an empty folder and uses it there as a stranger would, on each supported Node. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunError } from '../src/demo/run-error.ts';
import { type CommandResult, runCommand } from './run-command.ts';
import { exits, runTool, toolCommand } from './tool-command.ts';

const NODE_MAJORS = [22, 24];

/** Names that each export must have. An export that is not listed must have at least one. */
const EXPECTED_NAMES: Readonly<Record<string, readonly string[]>> = {
  '.': ['SchedulerConnector', 'WorkerConnector', 'ConnectorFeed', 'budgetTable'],
  './machines': ['schedulerMachine', 'workerMachine', 'budgetsFrom'],
  './engine': ['startEngine', 'createPrometheusMetrics'],
  './native-bindings': ['createCudaDriver', 'createEmulatedDriver', 'LoadState', 'sweepSharedMemory'],
};

const INSTALL = ['install', '--no-audit', '--no-fund', '--loglevel=error'];

const repository = fileURLToPath(new URL('..', import.meta.url));
const { name: packageName, version, exports } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const temporary = join(tmpdir(), `check-package-${process.pid}`);

const command = toolCommand(
  'check:package',
  `Pack the package, install it into an empty folder and use it there, on Node ${NODE_MAJORS.join(' and ')}`,
).action(checkPackage);

async function checkPackage(): Promise<void> {
  mkdirSync(temporary);
  process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(exits.interrupted));
  const tarball = await pack();
  for (const major of NODE_MAJORS) await checkOn(major, tarball);
}

async function must(what: string, work: Promise<CommandResult>): Promise<string> {
  const { status, stdout, stderr } = await work;
  if (status !== 0) throw new RunError(`${what}: ended with ${status}\n${stdout}${stderr}`.trimEnd());
  process.stdout.write(`ok   ${what}\n`);
  return stdout;
}

async function pack(): Promise<string> {
  const args = ['pack', '--pack-destination', temporary, '--loglevel=error'];
  const stdout = await must('npm pack', runCommand('npm', args, { cwd: repository }));
  return join(temporary, stdout.trim().split('\n').at(-1) ?? '');
}

/** Installs a Node of this major version and returns the folder of its binary. */
async function installNode(major: number): Promise<string> {
  const folder = emptyProject(`runtime-${major}`);
  await must(`install node@${major}`, runCommand('npm', [...INSTALL, `node@${major}`], { cwd: folder }));
  return join(folder, 'node_modules', 'node', 'bin');
}

async function checkOn(major: number, tarball: string): Promise<void> {
  const binFolder = await installNode(major);
  const cwd = emptyProject(`consumer-${major}`);
  const env = { ...process.env, PATH: `${binFolder}${delimiter}${process.env['PATH'] ?? ''}` };
  const runHere = (command: string, args: readonly string[]) => runCommand(command, args, { cwd, env });
  const on = `node ${major}`;
  const nodeVersion = await must(`${on}: node --version`, runHere('node', ['--version']));
  if (!nodeVersion.startsWith(`v${major}.`)) throw new RunError(`node@${major} says that it is ${nodeVersion}`);
  await must(`${on}: npm install of the tarball`, runHere('npm', [...INSTALL, '--engine-strict', tarball]));
  for (const path of Object.keys(exports)) {
    await must(`${on}: import ${specifier(path)}`, runHere('node', ['--input-type=module', '-e', importCheck(path)]));
  }
  const said = await must(`${on}: npx ${packageName} --version`, runHere('npx', [packageName, '--version']));
  if (said.trim() !== version) throw new RunError(`--version says ${said.trim()}, package.json ${version}`);
  await must(
    `${on}: the live page and its charts are served`,
    runHere('node', ['--input-type=module', '-e', PAGE_CHECK]),
  );
  const demo = [packageName, 'demo', '--json', '--restarts', '1', '--requests', '24', '--outage-ms', '200'];
  checkReport(on, await must(`${on}: npx ${demo.join(' ')}`, runHere('npx', demo)));
}

function emptyProject(name: string): string {
  const folder = join(temporary, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }));
  return folder;
}

function specifier(path: string): string {
  return path === '.' ? packageName : `${packageName}/${path.slice(2)}`;
}

function importCheck(path: string): string {
  return `
    const names = Object.keys(await import(${JSON.stringify(specifier(path))}));
    const missing = ${JSON.stringify(EXPECTED_NAMES[path] ?? [])}.filter((name) => !names.includes(name));
    if (names.length === 0 || missing.length > 0) throw new Error('exports ' + names + '; missing ' + missing);
  `;
}

/** Asks a feed of the package for its page and for the header of its stream. */
const PAGE_CHECK = `
  import { ConnectorFeed } from '${packageName}';
  const feed = new ConnectorFeed();
  const { url } = await feed.listen();
  const page = await fetch(url);
  if (page.status !== 200) throw new Error('the page: ' + (await page.text()));
  const { value } = await (await fetch(url + '/feed')).body.getReader().read();
  if (!new TextDecoder().decode(value).includes('"charts":{"scheduler"')) throw new Error('no charts');
  process.exit();
`;

/** The part of the demo's report that is looked at here. */
interface DemoReport {
  readonly ok: boolean;
  readonly restarts: readonly unknown[];
  readonly zeros: Readonly<Record<string, number>>;
}

/** Standard output is one JSON object and nothing else; its zeros are zeros. */
function checkReport(on: string, stdout: string): void {
  const { ok, restarts, zeros }: DemoReport = JSON.parse(stdout);
  const counts = Object.values(zeros);
  if (!ok || restarts.length !== 1 || counts.length === 0 || counts.some((count) => count !== 0)) {
    throw new RunError(`${on}: the demo reports ${JSON.stringify({ ok, restarts: restarts.length, zeros })}`);
  }
  process.stdout.write(`ok   ${on}: the demo's report is one JSON object, its zeros are 0\n`);
}

await runTool(command);
