import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { panels } from '../../scripts/telemetry/dashboard.ts';
import { freePort } from '../../src/demo/server/free-port.ts';
import { missing } from './missing.ts';
import { eventually } from './within.ts';

/** The queries of docs/grafana, as Prometheus takes them: for all instances, over half a minute. */
export function dashboardQueries(): string[] {
  const exprs = panels.flatMap(({ queries }) => queries.map(([, expr]) => expr));
  return exprs.map((expr) => expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '30s'));
}

/** Why a test that needs this program of Debian's prometheus cannot run here, or `null`. */
export const lackOf = (program: 'prometheus' | 'promtool') =>
  missing(`${program} (Debian: prometheus)`, spawnSync(program, ['--version']).status === 0);

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A Prometheus that scrapes these ports of this host, and keeps what it has in a temporary folder. */
export class PrometheusProcess implements AsyncDisposable {
  readonly #address: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  static async start(ports: readonly number[]): Promise<PrometheusProcess> {
    const port = await freePort();
    const started = new PrometheusProcess(`127.0.0.1:${port}`, ports);
    await eventually('Prometheus to scrape every port', () => started.#hasScraped(ports.length), 30_000);
    return started;
  }

  private constructor(address: string, ports: readonly number[]) {
    this.#address = address;
    this.#folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
    const targets = ports.map((port) => `127.0.0.1:${port}`);
    const config = {
      global: { scrape_interval: '250ms' },
      scrape_configs: [{ job_name: 'demo', static_configs: [{ targets }] }],
    };
    const file = join(this.#folder, 'prometheus.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config));
    const flags = [`--config.file=${file}`, `--storage.tsdb.path=${this.#folder}/data`];
    this.#child = spawn('prometheus', [...flags, `--web.listen-address=${address}`], { stdio: 'ignore' });
  }

  async query(expr: string): Promise<readonly Sample[]> {
    const response = await fetch(`http://${this.#address}/api/v1/query?query=${encodeURIComponent(expr)}`);
    const { status, error, data } = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: { readonly result: readonly Sample[] };
    };
    if (status !== 'success') throw new Error(`${expr}: ${error}`);
    return data.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
    this.#child.kill('SIGKILL');
    if (!isOver) await once(this.#child, 'exit');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** It is ready seconds before it knows its targets. One that does not listen yet has been tried. */
  async #hasScraped(targets: number): Promise<true | null> {
    const tried = await this.query('count(up)').catch(() => []);
    return Number(tried[0]?.value[1]) === targets ? true : null;
  }
}
