/**
 * The longest time, in milliseconds of this thread's processor, that was computed between two turns of a timer, from now
 * until the function that comes back is called: how long the event loop was blocked, without what others on this machine
 * took.
 */
export function computedAtATimeMs(): () => number {
  let longestUs = 0;
  let last = process.threadCpuUsage();
  const look = () => {
    const { user, system } = process.threadCpuUsage(last);
    longestUs = Math.max(longestUs, user + system);
    last = process.threadCpuUsage();
  };
  const timer = setInterval(look, 1);
  return () => {
    look();
    clearInterval(timer);
    return longestUs / 1_000;
  };
}
