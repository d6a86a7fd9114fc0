// Timing, and what is said of the machine beside every figure.
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** Of several measurements: the median, and the quartiles between which half of them lie. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const [lower, median, upper] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  return { median, quartiles: [lower, upper], runs: values.length };
}

export const median = (values) => spread(values).median;

/**
 * Seconds of a run, after one that warms caches and allocator.
 * @returns the spread, and minor page faults a run: memory that the kernel had to give and clear
 */
export async function time(run, runs) {
  await run();
  const seconds = [];
  const before = process.resourceUsage().minorPageFault;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    seconds.push((performance.now() - start) / 1000);
  }
  const pageFaults = Math.round((process.resourceUsage().minorPageFault - before) / runs);
  return { ...spread(seconds), pageFaults };
}

export const machineFacts = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
});

/** What this process took so far. Others' work on the machine takes its share: a figure counts only beside the load. */
export function processFacts() {
  const { maxRSS, minorPageFault, majorPageFault } = process.resourceUsage();
  return {
    peakRssMb: Math.round(maxRSS / 1024),
    pageFaults: { minor: minorPageFault, major: majorPageFault },
    loadAverage: loadavg()[0],
  };
}

export const say = (text) => process.stderr.write(`${text}\n`);

/** Prints the result: JSON for programs, or the text that `table` makes of it. */
export function print(result, json, table) {
  process.stdout.write(`${json ? JSON.stringify(result, null, 2) : table(result)}\n`);
}

/** Text of a measurement, with the quartiles: `3.210 s (3.181 to 3.305)`. */
export function seconds({ median, quartiles }, digits = 3) {
  const [lower, upper] = quartiles.map((value) => value.toFixed(digits));
  return `${median.toFixed(digits)} s (${lower} to ${upper})`;
}
