/** One row of the catalogue of failures. */
export interface Scenario {
  /** What happens. */
  readonly what: string;
  /** What must hold. */
  readonly mustHold: string;
  /** Fault kinds of the simulation that hold the row or a part of it, by their names in `test/simulation/faults.ts`. */
  readonly simulated?: readonly string[];
  /** What no test holds yet, and why. */
  readonly gap?: string;
}

const SIDECAR = 'the sidecar is not built yet';
const VLLM = 'needs vLLM: the plugin is not built yet';
const GPU = 'needs a GPU';

/** The catalogue by its row numbers; the tests that hold a row carry the number in their names. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  'S-01': {
    what: 'The server is killed under load and started again',
    mustHold: 'requests recompute and end; hits come back',
    simulated: ['kill'],
  },
  'S-02': {
    what: 'A restart ends before any probe could fail',
    mustHold: 'it is recovered from; old leases are refused',
    simulated: ['fastRestart'],
  },
  'S-03': {
    what: 'A kill while loads are pending in shared memory',
    mustHold: 'they fail as soon as the process is gone',
    simulated: ['lingeringKill'],
  },
  'S-04': {
    what: 'A kill while saves are pending and a preemption waits on them',
    mustHold: 'the preemption waits for proof, goes on with it, and hands nothing back without',
  },
  'S-05': { what: 'A query while there is no server, also the very first one', mustHold: 'a miss, without an RPC' },
  'S-06': {
    what: 'SYNs are dropped, then the address is healthy',
    mustHold: 'one dial budget an attempt, then service',
    simulated: ['droppedSyns'],
  },
  'S-07': {
    what: 'The old address is a black hole, a new one is published',
    mustHold: 'each dial resolves the name anew',
  },
  'S-08': {
    what: 'The address is published before the server listens',
    mustHold: 'dialled until it does; nothing is lost',
  },
  'S-09': {
    what: 'The server is stopped for long and continued',
    mustHold: 'blocks stay held; no late write lands in reused ones',
    simulated: ['freeze', 'copyAfterThaw'],
  },
  'S-10': {
    what: 'Our process stands still until the server has given it up',
    mustHold: 'the lost registration is found and replayed',
    simulated: ['stalledProcess', 'endedSession'],
  },
  'S-11': { what: 'Nothing is asked for hours, then the first load', mustHold: 'still registered; nothing hangs' },
  'S-12': {
    what: 'A flap that the server did not see',
    mustHold: 'the registration is kept, or cleared once',
    simulated: ['resetLink', 'halfOpen'],
  },
  'S-13': {
    what: 'The cleanup of an old session runs after the new registration',
    mustHold: 'the wipe is noticed and the registration repeated',
    simulated: ['lateCleanup'],
  },
  'S-14': { what: 'A registration before its session', mustHold: 'impossible by construction' },
  'S-15': {
    what: 'One of N ranks is refused',
    mustHold: 'no half-open instance; the whole generation again',
    simulated: ['refusedCalls'],
  },
  'S-16': {
    what: 'A rank dies during the re-registration and returns as another process',
    mustHold: 'the instance is whole again, once',
    simulated: ['rankDeath', 'schedulerAndRankDeath', 'ambushedRank'],
  },
  'S-17': {
    what: 'The server dies again at any moment of a recovery, and several times in a row',
    mustHold: 'the newest epoch wins; no stale success is published',
    simulated: ['crashLoop', 'ambushedScheduler', 'ambushedRank'],
  },
  'S-18': {
    what: 'The result of an epoch arrives in the next one',
    mustHold: 'dropped and counted',
    simulated: ['delayedAnswers', 'ambushedRank'],
  },
  'S-19': { what: 'A lease of an old epoch', mustHold: 'refused without an RPC, or its refusal is a failed load' },
  'S-20': {
    what: 'A load has no end for long and the server finishes it later',
    mustHold: 'told once, with proof; where the host declared `unsafeReleaseAfterMs`, by time, and counted as unsafe',
    simulated: ['slowCopies'],
  },
  'S-21': {
    what: 'The link dies while a save still reads the blocks of a preempted request',
    mustHold: 'no block is reused before the end of the save is proved',
    simulated: ['freezeAndKill'],
  },
  'S-22': { what: 'One request ends as loaded and as saved in one step', mustHold: 'acted on once' },
  'S-23': { what: 'A transfer is refused while nothing is in service', mustHold: 'reported once, at once' },
  'S-24': { what: 'A result for a request that was aborted', mustHold: 'its lease is given back' },
  'S-25': { what: 'A load fails in a cache group above 0', mustHold: 'the request fails as a whole; the host lives' },
  'S-26': { what: 'vLLM is configured to fail requests on load errors', mustHold: 'a preflight says so', gap: VLLM },
  'S-27': { what: 'A recompute on an otherwise idle host', mustHold: 'goes on without a second request', gap: VLLM },
  'S-28': {
    what: 'A promised synchronous load is refused',
    mustHold: 'the output equals that without a cache',
    gap: VLLM,
  },
  'S-29': {
    what: 'A registration from a thread without a CUDA context',
    mustHold: 'the context is bound; it succeeds at once',
    gap: `held on a stand-in for libcudart; on real CUDA: ${GPU}`,
  },
  'S-30': {
    what: 'The same IPC handles are opened by one server after the other',
    mustHold: 'nothing leaks; the same bytes are read',
    gap: `held with emulated device memory and on a stand-in for libcudart; real CUDA handles: ${GPU}`,
  },
  'S-31': {
    what: 'The registration thread of a healthy server is stuck',
    mustHold: 'shown as stalled; no pile of calls',
    simulated: ['hungCalls'],
  },
  'S-32': {
    what: 'Transfers never end while every ping is answered',
    mustHold: 'evidence on work, not on pings',
    simulated: ['stuckTransfers'],
  },
  'S-33': {
    what: 'Another version is rolled out and rolled back',
    mustHold: 'parked, probed slowly, resumed by itself',
    simulated: ['otherVersion', 'changedVersion'],
  },
  'S-34': { what: 'Old and new clients and servers meet; fields are unknown', mustHold: 'served or refused cleanly' },
  'S-35': {
    what: 'One status code with several causes, also in other words',
    mustHold: 'the right branch; unknown text takes the safe one',
    simulated: ['refusedCalls'],
  },
  'S-36': { what: '64 instances of 8 ranks come back to one server at once', mustHold: 'spread over the window' },
  'S-37': { what: 'Long registrations of others', mustHold: 'no link or epoch is lost over them' },
  'S-38': {
    what: 'A planned drain',
    mustHold: 'the server gets its connections back and exits',
    simulated: ['drain', 'restartAnnounced'],
  },
  'S-39': { what: 'SIGTERM is ignored, SIGKILL follows', mustHold: 'one recovery' },
  'S-40': { what: 'Two servers live, and the address moves from one to the other', mustHold: 'the old one is fenced' },
  'S-41': {
    what: 'A restarted server is refused by the MetaServer for a while',
    mustHold: 'its local cache serves meanwhile',
    gap: 'scale-out stays with pegaflow-server: the embedded engine has no MetaServer',
  },
  'S-42': { what: 'The cache of a restarted server is empty', mustHold: 'a miss of its own kind, no outage' },
  'S-43': {
    what: 'An operator clears the server under load',
    mustHold: 'healed; no request fails',
    simulated: ['cleanup', 'cleanupAll', 'memoryCleanup'],
  },
  'S-44': {
    what: 'One of four sharded servers restarts',
    mustHold: 'that shard alone recovers; queries miss meanwhile',
  },
  'S-45': {
    what: 'A half-open link: packets are lost both ways, no FIN; or a full backlog',
    mustHold: 'ended by the ping or dial budget',
    simulated: ['partition', 'halfOpen'],
  },
  'S-46': {
    what: 'Latency, jitter, frames in slices, a stream cut in a frame',
    mustHold: 'no false death; nothing worse than a lost link',
    simulated: ['slowNetwork'],
  },
  'S-47': {
    what: 'Replies are reordered, doubled or dropped on the way',
    mustHold: 'each request is told once',
    simulated: ['lostAnswer', 'delayedAnswers'],
    gap: SIDECAR,
  },
  'S-48': { what: 'The wall clock jumps', mustHold: 'no wait moves', simulated: ['clockJump'] },
  'S-49': {
    what: 'Our event loop stands still for seconds',
    mustHold: 'data first, then the verdict: no healthy link is lost',
    simulated: ['stalledProcess'],
  },
  'S-50': {
    what: 'A stop in any state of a recovery',
    mustHold: 'nothing stays registered, or the outcome says so',
    simulated: ['stopInRecovery', 'ambushedScheduler', 'ambushedRank'],
  },
  'S-51': { what: 'The sidecar dies and returns', mustHold: 'registrations are recovered; no false hit', gap: SIDECAR },
  'S-52': { what: 'Sidecar and server restart together', mustHold: 'converges', gap: SIDECAR },
  'S-53': {
    what: 'Log, metric or trace back ends are down during a recovery',
    mustHold: 'the recovery is unaffected',
  },
  'S-54': {
    what: 'A day of random restarts under load',
    mustHold: 'no failed request, no wrong token, flat memory',
    gap: `minutes of it with emulated device memory (\`npm run soak\`); a day on real memory: ${GPU}`,
  },
  'S-55': {
    what: 'Every event in every state, also those that cannot happen',
    mustHold: 'a transition, or listed as ignored',
  },
  'S-56': {
    what: 'A link closes under a queued load while the server lives',
    mustHold: 'a close alone frees nothing',
    simulated: ['resetEveryLink', 'copyAfterClose'],
  },
  'S-57': {
    what: 'A save is in doubt, and stored after the thaw',
    mustHold:
      'its blocks are held; where the host had them released unsafely, its hashes are refused until the server is dead or has refused the save',
    simulated: ['freeze', 'copyAfterThaw'],
  },
  'S-58': {
    what: 'A predecessor of the same id left a sealed instance',
    mustHold: 'cleared, never kept',
    simulated: ['replicaDeath', 'intruder', 'predecessor', 'livingTwin'],
  },
  'S-59': {
    what: 'One of the two stores of the server still holds what the other denies',
    mustHold: 'no livelock',
    simulated: ['betweenSteps'],
  },
  'S-60': {
    what: 'A stuck Register lands after the clear',
    mustHold: 'not published; cured',
    simulated: ['hungCalls', 'delayedAnswers'],
  },
  'S-61': {
    what: 'A stuck Unregister lands on a later generation',
    mustHold: 'impossible, or healed with nothing wrong read',
    simulated: ['hungCalls', 'delayedAnswers'],
  },
  'S-62': {
    what: 'An accepted load fails while earlier copies of it run',
    mustHold: 'final only after the settling time',
    simulated: ['failedCopies'],
  },
  'S-63': {
    what: 'Flaps again and again with kept registrations',
    mustHold: 'leases are given back; the pool does not fill',
  },
  'S-64': {
    what: 'A request that is still loading asks for another prefix',
    mustHold: 'a result is never taken for another query',
    simulated: ['answerLoading'],
  },
  'S-65': {
    what: 'The scheduler process is replaced; counters start again',
    mustHold: 'the workers follow the new one',
    simulated: ['schedulerDeath', 'schedulerAndRankDeath'],
  },
  'S-66': {
    what: 'Scheduler and workers find themselves at different servers',
    mustHold: 'no loop; service when they meet',
    simulated: ['secondServer'],
  },
  'S-67': {
    what: 'A Register lands after the stop of the scheduler',
    mustHold: 'nothing stays registered, or the outcome says so',
    simulated: ['stop'],
  },
  'S-68': {
    what: 'A host makes no steps for hours after a restart',
    mustHold: 'no storm of generations; its next step ends it',
  },
  'S-69': { what: 'The pool of the server is full', mustHold: 'no evidence against the registration' },
  'S-70': {
    what: 'A long outage at a port that the kernel also gives to outgoing connections: a dial connects to itself',
    mustHold: 'as refused; the port is free for the server at once',
  },
  'S-71': {
    what: 'A clear is due while a rank was told of a load a moment ago, or was never heard',
    mustHold: 'the clear waits for answers to its own announcement, bounded',
    simulated: ['stalledProcess', 'schedulerDeath'],
  },
  'S-72': {
    what: 'One rank cannot reach the server, or its process dies and nobody replaces it',
    mustHold: 'queries miss and no rank saves; the rank is named; its memory does not stay mapped',
    simulated: ['ambushedRank', 'rankDeath'],
  },
  'S-73': {
    what: 'A late message of an old scheduler reaches a rank after that of its successor',
    mustHold: 'the successor is followed again with its next word',
  },
  'S-74': {
    what: 'The server refuses saves as such: a full disk, a pool smaller than one save, a method that it lacks',
    mustHold: 'saves are turned off, told once, tried ever more rarely; nothing else stops',
    simulated: ['refusedSaves'],
  },
  'S-75': {
    what: 'Loads fail for good: all, or those of one block',
    mustHold: 'the promise is taken back: a miss for the request, the block, or all; never a loop of generations',
    simulated: ['refusedLoads', 'failedCopies'],
  },
  'S-76': { what: 'Queries hang while probes are answered', mustHold: 'after a few they miss at once; one is tried' },
  'S-77': {
    what: 'A registration that can never succeed',
    mustHold: 'parked, with the words of the server; minutes between tries; resumes by itself',
  },
  'S-78': {
    what: 'A server is silent, or one copy hangs, while loads or saves are in doubt, and the host chose to fence it',
    mustHold:
      'the process that holds the memory is killed, once, or the command run; only its death is proof; no server that answers, and no proxy, is fenced',
    simulated: ['freeze', 'stuckTransfers'],
  },
  'S-79': {
    what: 'A server that is silent or gone holds ever more blocks, and nothing proves that it is done with them',
    mustHold:
      'bounded by amount: at `maxHeldBlocksShare` of any rank nothing is saved and queries miss, told once, with what to do',
    simulated: ['freeze'],
  },
  'S-80': {
    what: 'The server has another /dev/shm, such as in another container, or runs as another user',
    mustHold:
      'known when the ranks begin to serve, told once with what to do; queries miss, saves go on, nothing is lost to it',
  },
  'S-81': {
    what: 'Several instances register on one device of one server at the same moment',
    mustHold:
      'each knows its own copy threads; where they could not wait for each other, a proof waits for all, and says so',
  },
  'S-82': {
    what: 'A load or save is never answered, or accepted and never ended, by a server that answers everything else',
    mustHold:
      'its blocks stay held, told once; they come back as soon as its queue is known to have moved past it, or its registration is over',
    simulated: ['stuckTransfers', 'hungCalls'],
  },
  'S-83': {
    what: 'The server, or a proxy before it, is another user’s process, whose files and mappings are hidden from us',
    mustHold:
      'it is known by its copy threads, and its death is proof; where it shows none there is no proof, which is told',
  },
  'S-84': {
    what: 'Our server is not to be seen, and another one on this host registers somebody later',
    mustHold: 'nobody takes that one for the holder: its death proves nothing, and it is not fenced',
  },
  'S-85': {
    what: 'A proxy or a name leads to another server while the one that has our registration lives, frozen or not',
    mustHold:
      'that registration is never kept on the word of the other; a stop is *unconfirmed* until its server is dead or was asked',
    gap: 'behind a proxy nobody sees that the first server lives: once registered at the next one, a stop says clean',
  },
};
