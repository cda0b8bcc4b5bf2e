import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** The top-level folder, or the package. */
  readonly target: string;
}

function importsOf(folder: string): Import[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const file = join(folder, name);
      const text = readFileSync(join(root, file), 'utf8');
      const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
      return specifiers.map((specifier) => ({ file, specifier, target: targetOf(file, specifier) }));
    });
}

function targetOf(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return relative(root, resolve(root, dirname(file), specifier)).split('/')[0] ?? '';
}

const strangers = (folder: string, allowed: (found: Import) => boolean) =>
  importsOf(folder)
    .filter((found) => !allowed(found))
    .map(({ file, specifier }) => `${file} imports ${specifier}`);

describe('layering', () => {
  it('machines import xstate and their own folder, so that a browser can load them', () => {
    expect(importsOf('machines').length).toBeGreaterThan(10);
    expect(strangers('machines', ({ target }) => target === 'machines' || target === 'xstate')).toEqual([]);
  });

  it('machines know no clock, no randomness and no host', () => {
    const offenders = readdirSync(join(root, 'machines'), { recursive: true, encoding: 'utf8' }).filter(
      (name) =>
        name.endsWith('.ts') &&
        /Date\.now|performance\.|Math\.random|crypto|\bprocess\.[a-z]|setTimeout/.test(
          readFileSync(join(root, 'machines', name), 'utf8'),
        ),
    );
    expect(offenders).toEqual([]);
  });

  it('native bindings import koffi, node and their own folder', () => {
    const isAllowed = ({ target }: Import) =>
      target === 'native-bindings' || target === 'koffi' || target.startsWith('node:');
    expect(importsOf('native-bindings').length).toBeGreaterThan(10);
    expect(strangers('native-bindings', isAllowed)).toEqual([]);
  });

  it('the page loads nothing but its own files', () => {
    const files = readdirSync(join(root, 'src/page'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.\w+$/.test(name),
    );
    const texts = files.map((name) => readFileSync(join(root, 'src/page', name), 'utf8')).join('\n');
    const loaded = files.flatMap((name) => {
      const text = readFileSync(join(root, 'src/page', name), 'utf8');
      const found = [...text.matchAll(/\bfrom '([^']+)'|\b(?:src|href)="([^"]+)"|url\(([^)#$]+)\)/g)];
      return found.map(([, module, asset, image = '']) => {
        if (asset !== undefined) return join('src', asset);
        const specifier = module ?? image;
        return specifier.startsWith('.') ? join('src/page', dirname(name), specifier) : specifier;
      });
    });
    // Types alone come from the feed.
    const strangers = loaded.filter((path) => !path.startsWith('src/page/') && !/^src\/feed\/\w+\.ts$/.test(path));
    expect(loaded.length).toBeGreaterThan(40);
    expect(strangers).toEqual([]);
    expect(texts.match(/^import .*\.ts'/gm)).toEqual(null);
  });

  it.each([
    ['src/rpc', ['machines', 'native-bindings', 'src/gen']],
    ['src/actors', ['machines', 'src/rpc', 'src/gen']],
    [
      'src/connector',
      ['machines', 'native-bindings', 'src/actors', 'src/rpc', 'src/registration', 'src/telemetry', 'src/gen'],
    ],
    ['src/telemetry', ['machines']],
    ['src/feed', ['machines', 'src/connector']],
    ['src/registration', []],
    ['src/check', ['native-bindings', 'src/registration', 'src/gen']],
    ['src/engine', ['native-bindings', 'src/registration', 'src/gen']],
  ])('%s imports of ours what its row in CONTRIBUTING.md says', (folder, allowed) => {
    const isAllowed = ({ file, specifier }: Import) => {
      if (!specifier.startsWith('.')) return true;
      const path = relative(root, resolve(root, dirname(file), specifier));
      const isShared = /^src\/[^/]+\.ts$/.test(path);
      return isShared || [folder, ...allowed].some((border) => path.startsWith(`${border}/`));
    };
    expect(importsOf(folder).length).toBeGreaterThan(0);
    expect(strangers(folder, isAllowed)).toEqual([]);
  });

  it('the library imports no OpenTelemetry SDK; the command line alone does, and on demand the engine’s /metrics', () => {
    const onDemand = ['src/engine/http/prometheus.ts', 'src/cli/telemetry-sdk.ts'];
    const isAllowed = ({ file, target }: Import) =>
      !target.startsWith('@opentelemetry/') || target === '@opentelemetry/api' || onDemand.includes(file);
    expect(strangers('src', isAllowed)).toEqual([]);
  });

  it('what the command line prints passes the border to the terminal', () => {
    const writes = /\bstd(out|err)\.write\(|\bstream\.write\(|console\.|\blive(\.persist)?\((?!visible)/;
    const offenders = readdirSync(join(root, 'src/cli'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && name !== 'output/terminal.ts')
      .flatMap((name) => readFileSync(join(root, 'src/cli', name), 'utf8').split('\n'))
      .filter((line) => writes.test(line) && !/visible/.test(line));
    expect(offenders).toEqual([]);
  });

  it('only the command line prints or exits', () => {
    const offenders = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/^(cli|demo|gen)\//.test(name))
      .filter((name) =>
        /console\.|process\.(exit\(|stdout|stderr|emitWarning)/.test(readFileSync(join(root, 'src', name), 'utf8')),
      );
    expect(offenders).toEqual([]);
  });
});
