import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export interface CollectedSpan {
  /** `service.instance.id` of the process that sent it. */
  readonly process: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

interface Resource {
  readonly resource: {
    readonly attributes: readonly { readonly key: string; readonly value: { stringValue: string } }[];
  };
}

interface Traces {
  readonly resourceSpans?: readonly (Resource & {
    readonly scopeSpans: readonly { readonly spans: readonly Omit<CollectedSpan, 'process'>[] }[];
  })[];
}

interface Metrics {
  readonly resourceMetrics?: readonly (Resource & {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  })[];
}

/** Takes OTLP/HTTP as JSON, and keeps it. */
export class OtlpCollector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** Names of what was measured, by the process that sent it. */
  readonly metrics = new Map<string, Set<string>>();
  readonly #server: Server;

  static async start(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await new Promise<void>((resolve) => collector.#server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      void json(request).then((body) => {
        this.#take(body as Traces & Metrics);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  #take({ resourceSpans = [], resourceMetrics = [] }: Traces & Metrics): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const process = processOf({ resource });
      this.spans.push(...scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, process }))));
    }
    for (const { resource, scopeMetrics } of resourceMetrics) {
      const process = processOf({ resource });
      const names = this.metrics.get(process) ?? new Set();
      this.metrics.set(process, names);
      for (const { metrics } of scopeMetrics) for (const { name } of metrics) names.add(name);
    }
  }
}

function processOf({ resource }: Resource): string {
  return resource.attributes.find(({ key }) => key === 'service.instance.id')?.value.stringValue ?? 'unknown';
}
