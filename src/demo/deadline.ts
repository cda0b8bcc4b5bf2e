/** The value, or `fallback` once `limitMs` milliseconds have passed. */
export async function within<Value, Fallback>(
  limitMs: number,
  value: Promise<Value>,
  fallback: Fallback,
): Promise<Value | Fallback> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<Fallback>((resolve) => {
    timer = setTimeout(() => resolve(fallback), limitMs);
  });
  try {
    return await Promise.race([value, expired]);
  } finally {
    clearTimeout(timer);
  }
}
