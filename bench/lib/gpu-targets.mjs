// What is wanted of one H200, and of the original's figures on the same GPU (docs/cuda.md says how to obtain them).
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const expecting = (what) => ({
  error: ({ input }) => `expected ${what} but received ${JSON.stringify(input) ?? 'nothing'}`,
});
const figure = z.number(expecting('a number above 0')).positive(expecting('a number above 0'));
const count = z.int(expecting('a whole number above 0')).positive(expecting('a whole number above 0'));
const Original = z.strictObject({
  /** As nvidia-smi calls it: ratios count on the same GPU only. */
  gpu: z.string(expecting("the GPU's name")).min(1, expecting("the GPU's name")),
  /** What ran, for the reader: versions, commit, precision. */
  software: z.string().optional(),
  trainings: z.array(
    z.strictObject({ crop: count, batch: count, imagesPerSecond: figure, peakGib: figure.optional() }),
    expecting('a list'),
  ),
  export: z.strictObject({ crop: count, imagesPerSecond: figure }).optional(),
});

const FORM =
  '{"gpu": "NVIDIA H200", "software": "...", "trainings": [{"crop": 224, "batch": 8, "imagesPerSecond": 37, "peakGib": 9}, ...], ' +
  '"export": {"crop": 224, "imagesPerSecond": 5}}';

/**
 * Reads the original's figures; for readOptions().
 * @throws Error with every fault of the file
 */
export function readOriginal(path, name) {
  let parsed;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(
      `Expected the original's figures as JSON for --${name} but received ${path}: ${error.message}`,
    );
  }
  const { success, data, error } = Original.safeParse(parsed);
  if (!success) {
    const faults = error.issues.map(
      ({ path: at, message }) => `  ${at.length ? at.join('.') : 'the file'}: ${message}`,
    );
    throw new Error(
      `Expected the original's figures for --${name} but ${path} has\n${faults.join('\n')}\nIts form: ${FORM}`,
    );
  }
  const seen = new Set();
  for (const { crop, batch } of data.trainings) {
    const key = `crop ${crop}, batch ${batch}`;
    if (seen.has(key))
      throw new Error(`Expected each training once for --${name} but ${path} has ${key} twice`);
    seen.add(key);
  }
  return data;
}

/** Of the affinity phase. `speed`: images/s; `times`: faster than the original; `memory`: share of the original's. */
const TRAININGS = [
  { crop: 224, batch: 8, speed: 400, times: 10 },
  { crop: 224, batch: 128, speed: 1500, times: 20, memory: 0.25 },
  { crop: 512, batch: 8, times: 10 },
];
const EXPORT_TIMES = 10;
const HOST_SHARE = 0.2;

/** @param wanted of the target: at least, or with `below` less than this */
function target(name, unit, wanted, measured, { below = false } = {}) {
  const met = measured === null ? null : below ? measured < wanted : measured >= wanted;
  return { name, unit, wanted, below, measured, met };
}

const ratio = (ours, theirs) => (ours === undefined || theirs === undefined ? null : ours / theirs);

/**
 * Every target with what was measured: `met` is null where it was not, or where a figure of the original is missing.
 * @param result of the benchmark: its trainings, and its export
 * @param original of readOriginal(), or undefined
 */
export function judge({ trainings, exported }, original) {
  const same = (one) => (other) => other.crop === one.crop && other.batch === one.batch;
  const rows = TRAININGS.flatMap((wanted) => {
    const ours = trainings.find((one) => one.phase === 'affinity' && same(wanted)(one) && !one.fault);
    const theirs = original?.trainings.find(same(wanted));
    const name = `affinity, crop ${wanted.crop}, batch ${wanted.batch}`;
    const times = ratio(ours?.imagesPerSecond, theirs?.imagesPerSecond);
    return [
      wanted.speed && target(`${name}: speed`, 'images/s', wanted.speed, ours?.imagesPerSecond ?? null),
      target(`${name}: against the original`, 'times', wanted.times, times),
      wanted.memory &&
        target(
          `${name}: memory, of the original's`,
          'share',
          wanted.memory,
          ratio(ours?.peakGib, theirs?.peakGib),
          { below: true },
        ),
      target(`${name}: host's share of a step`, 'share', HOST_SHARE, ours?.hostShare ?? null, {
        below: true,
      }),
    ].filter(Boolean);
  });
  const theirs = original?.export;
  const fastest = exported
    .filter((one) => !one.fault && (!theirs || one.crop === theirs.crop))
    .toSorted((a, b) => b.imagesPerSecond - a.imagesPerSecond)[0];
  const times = ratio(fastest?.imagesPerSecond, theirs?.imagesPerSecond);
  return [...rows, target('map export: against the original', 'times', EXPORT_TIMES, times)];
}

/** What to bear in mind when reading the targets, a line each. */
export function cautions(gpu, original) {
  const isH200 = /\bH200\b/.test(gpu);
  return [
    ...(isH200 ? [] : [`The targets are for one H200; this is ${gpu}.`]),
    ...(original
      ? []
      : ['Without --original there is nothing to compare with: docs/cuda.md says how to obtain it.']),
    ...(original && !gpu.includes(original.gpu)
      ? [`The original's figures are of ${original.gpu}: its ratios do not count.`]
      : []),
  ];
}
