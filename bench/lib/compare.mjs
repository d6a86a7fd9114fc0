// Two results of a benchmark, figure by figure: which is better, and on what machines they were measured.

/** Where a path says that more, or less, is better. Numbers of other paths are settings. */
const MORE = /(flops|persecond|gbps|speedups?|overlap|shareof)/i;
const LESS = /(seconds|cpums|faults|rssmb|growthmb|share|ratio)/i;
/** What stands beside the figures, and Python's, which is not ours to make better. */
const FACTS = [
  'machine',
  'quartiles',
  'options',
  'python',
  'comparison',
  'groupShares',
  'kernels',
  'targets',
  'original',
];
/** Closer than this is the same: of a figure, and of a share that is small itself. */
const NOISE = 0.03;

/** Numbers of a result by their path, each with the quartiles that stand beside it. */
export function figures(result, path = []) {
  return Object.entries(result ?? {}).flatMap(([key, value]) => {
    if (FACTS.includes(key)) return [];
    const here = [...path, key];
    if (typeof value === 'number') return [{ path: here.join('.'), value, quartiles: result.quartiles }];
    return value !== null && typeof value === 'object' ? figures(value, here) : [];
  });
}

function directionOf(path) {
  if (MORE.test(path)) return 'more';
  return LESS.test(path) ? 'less' : undefined;
}

/** Whether a median lies among the other's middle half. */
const within = (value, quartiles) =>
  Array.isArray(quartiles) && value >= quartiles[0] && value <= quartiles[1];

function verdict(direction, old, now) {
  const ratio = now.value / old.value;
  const change = /share/i.test(now.path) ? now.value - old.value : ratio - 1;
  if (Math.abs(change) < NOISE || within(now.value, old.quartiles) || within(old.value, now.quartiles))
    return 'same';
  return ratio > 1 === (direction === 'more') ? 'better' : 'worse';
}

/** Every figure that both have, and whether it is better, worse or, as far as the runs can tell, the same. */
export function compareFigures(old, now) {
  const before = new Map(figures(old).map((figure) => [figure.path, figure]));
  return figures(now).flatMap((figure) => {
    const earlier = before.get(figure.path);
    const direction = directionOf(figure.path);
    if (!earlier || !direction) return [];
    const ratio = figure.value / earlier.value;
    return [
      {
        figure: figure.path,
        old: earlier.value,
        new: figure.value,
        ratio: Number.isFinite(ratio) ? ratio : null,
        verdict: verdict(direction, earlier, figure),
      },
    ];
  });
}

/** What is not the same about the machines, a line each; load counts as well. */
export function machineDifferences(old, now) {
  const facts = ({ machine = {}, threads, loadAverage, load }) => {
    const known = { ...machine, threads, loadAverage: (loadAverage ?? load)?.toFixed(1) };
    return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  };
  const [before, after] = [facts(old), facts(now)];
  return Object.keys({ ...before, ...after })
    .filter((key) => before[key] !== after[key])
    .map((key) => `${key}: ${before[key] ?? 'not known'}, now ${after[key] ?? 'not known'}`);
}
