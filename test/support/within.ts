/** `work`, or an error that names what did not happen in time. */
export const within = async <T>(budgetMs: number, what: string, work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${budgetMs} ms for ${what}`)), budgetMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Asks again every millisecond until the answer is not `null`. */
export const eventually = async <T>(
  what: string,
  ask: () => T | null | Promise<T | null>,
  budgetMs = 15_000,
): Promise<T> => {
  const deadlineMs = performance.now() + budgetMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > deadlineMs) throw new Error(`waited ${budgetMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};
