/** One value for each storage group of each request. */
export class ByGroup<T> {
  #byRequest = new Map<string, Map<number, T>>();

  get(requestId: string, groupId: number): T | undefined {
    return this.#byRequest.get(requestId)?.get(groupId);
  }

  set(requestId: string, groupId: number, value: T): void {
    const groups = this.#byRequest.get(requestId);
    if (groups) groups.set(groupId, value);
    else this.#byRequest.set(requestId, new Map([[groupId, value]]));
  }

  delete(requestId: string, groupId: number): void {
    const groups = this.#byRequest.get(requestId);
    if (groups?.delete(groupId) && groups.size === 0) this.#byRequest.delete(requestId);
  }

  /** Removes and returns the values of all groups of this request. */
  take(requestId: string): T[] {
    const groups = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    return [...(groups?.values() ?? [])];
  }

  /** Removes and returns every value that `isWanted` picks. */
  takeWhere(isWanted: (value: T) => boolean): T[] {
    const taken: T[] = [];
    for (const [requestId, groups] of this.#byRequest) {
      for (const [groupId, value] of groups) {
        if (!isWanted(value)) continue;
        taken.push(value);
        this.delete(requestId, groupId);
      }
    }
    return taken;
  }
}
