/** Microseconds of the monotonic clock: the same in all threads, and libtorch's own steady clock. */
export function microseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}
