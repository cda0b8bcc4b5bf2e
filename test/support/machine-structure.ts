interface StateNodeLike {
  readonly config: { readonly after?: object };
  readonly states: Readonly<Record<string, StateNodeLike>>;
}

/** Names of the delays that any state of a machine waits for. */
export function delaysUsedIn(node: StateNodeLike, found = new Set<string>()): Set<string> {
  for (const delay of Object.keys(node.config.after ?? {})) found.add(delay);
  for (const child of Object.values(node.states)) delaysUsedIn(child, found);
  return found;
}
