/** A stand-in actor: using it without `provide()` names what is missing. */
export const unprovided = (actor: string) => () => {
  throw new Error(`provide() an actor for "${actor}"`);
};
