/** Who watches over which instance. One entry an instance; a newer session takes the place of an older one. */
export class SessionTable {
  readonly #tokens = new Map<string, number>();
  #lastToken = 0;

  /** Installs a session and returns its token, a counter of this process that starts at 1. */
  install(instanceId: string): number {
    const token = ++this.#lastToken;
    this.#tokens.set(instanceId, token);
    return token;
  }

  /** Removes the session if it is still the newest of its instance. Returns whether it was. */
  take(instanceId: string, token: number): boolean {
    if (this.#tokens.get(instanceId) !== token) return false;
    this.#tokens.delete(instanceId);
    return true;
  }
}
