import { ConnectorFeed } from '../feed/connector-feed.ts';
import type { DemoObserver } from './observer.ts';

/** The feed of a whole run: what all machines do, and when the engine was stopped, was back and had ended. */
export class DemoFeed {
  readonly #feed = new ConnectorFeed();

  /** Resolves to where the live page is. */
  async serve(port: number): Promise<string> {
    const { url } = await this.#feed.listen({ port });
    return url;
  }

  async record(path: string): Promise<void> {
    await this.#feed.record(path);
  }

  /** An observer that keeps what the feed tells, and hands on the rest. */
  between(observer: Omit<DemoObserver, 'fed'>): DemoObserver {
    return {
      event: (event, progress) => {
        if (event.type === 'engine.stopped') this.#tellServer('stopped', event.atMs, event.kind);
        if (event.type === 'engine.listening') this.#tellServer('listening', event.atMs, null);
        if (event.type === 'engine.exited') this.#tellServer('stopped', event.atMs, null);
        observer.event(event, progress);
      },
      transition: (line) => observer.transition(line),
      warning: (text) => observer.warning(text),
      fed: (record) => this.#feed.accept(record),
    };
  }

  async close(): Promise<void> {
    await this.#feed.close();
  }

  #tellServer(what: 'stopped' | 'listening', atMs: number, how: string | null): void {
    this.#feed.accept({ type: 'server', atMs, what, how });
  }
}
