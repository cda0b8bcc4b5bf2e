/** What the simulation leaves out, because the product cannot or does not yet stand it: by fault or by name. */
export const knownGaps: Readonly<Record<string, string>> = {
  livingTwin:
    'The wire names an instance by its id alone. A living twin that clears us and seals the same shape under our id is ' +
    'answered for in every probe as we were, and its memory takes our loads.',
  callsOfAnotherLife:
    'A Save or Load that is under way when its process ends, held up by the network, reaches the registration of the next process ' +
    'with the same id, and touches its blocks under the hashes of the one before.',
};
