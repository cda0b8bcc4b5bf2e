/** What differs between the published servers, for an engine that plays one of them. */
export interface ServerBehaviour {
  /** Whether a tensor that begins inside its storage is taken to end with it; 0.23.12 takes it for as long as the storage. */
  readonly isStorageOffsetSubtracted: boolean;
  /** Whether the pool rounds sizes up to eight classes for each power of two, and not only to its unit. */
  readonly isPoolSizeClassed: boolean;
}

/** The first published version that behaves so, newest first. */
const behaviours: readonly (readonly [version: readonly number[], behaviour: ServerBehaviour])[] = [
  [[0, 25, 0], { isStorageOffsetSubtracted: true, isPoolSizeClassed: true }],
  [[0, 24, 0], { isStorageOffsetSubtracted: true, isPoolSizeClassed: false }],
  [[0, 0, 0], { isStorageOffsetSubtracted: false, isPoolSizeClassed: false }],
];

const newest = behaviours[0]![1];

/** How a server of this version behaves; one that is no version behaves like the newest. */
export const behaviourOf = (version: string): ServerBehaviour => {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (match === null) return newest;
  const parts = match.slice(1).map(Number);
  return behaviours.find(([first]) => isAtLeast(parts, first))?.[1] ?? newest;
};

const isAtLeast = (version: readonly number[], first: readonly number[]): boolean => {
  const i = version.findIndex((part, at) => part !== first[at]);
  return i < 0 || version[i]! > first[i]!;
};
