/** One deliberate defect: the text is replaced where it occurs, which must be once. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** What it breaks. */
  readonly why: string;
}

export const mutants: readonly Mutant[] = [];

/** Throws where no mutant has that name. */
export function mutantBy(name: string | null): Mutant | null {
  if (name === null) return null;
  const mutant = mutants.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`no mutant is called "${name}"`);
  return mutant;
}
