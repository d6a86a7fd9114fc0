// What the kernels of a GPU are by their names, and what share of its time each takes. Names are CUPTI's: demangled, with
// template arguments and parameters; cuBLAS's, cuDNN's and NCCL's are their own.
import { shortKernelName } from '../../dist/profile/kernel-name.js';

/** This package's own, all in anonymous namespaces of native/**\/*.cu. */
const own = (...names) => new RegExp(`^(void )?(\\(anonymous namespace\\)::)?(${names.join('|')})\\b`);

/** Kinds of work; the first that fits. */
const GROUPS = [
  ['PAR', own('weightsKernel', 'roundKernel', 'shrinkKernel', 'growKernel')],
  ['pair labels', own('labelsKernel')],
  ['affinity loss', own('sumsKernel', 'finishKernel', 'gradientsKernel')],
  ['random walk', own('walkKernel')],
  ['bytes to images', own('normalizeKernel')],
  ['depthwise with GELU', own('depthwiseGeluKernel')],
  ['communication', /nccl/],
  ['attention', /flash|fmha|sdpa|attention/i],
  [
    'normalisation',
    /layer_norm|addNorm(Backward)?Kernel|GammaBeta|RowwiseMoments|batch_?norm|\bbn_(fw|bw|inf)/i,
  ],
  ['convolution', /[fb]prop|dgrad|wgrad|conv|winograd|im2col|col2im/i],
  ['matrix products', /gemm|gemv|nvjet|cutlass|split_?k|dot_kernel/i],
  ['copies', /multi_tensor_apply.*Copy/],
  ['optimizer', /FusedAdam|multi_tensor_apply/],
  ['resizing', /upsample/i],
  ['copies', /copy|FillFunctor|CatArray|nchwToNhwc|nhwcToNchw|transpose/i],
  ['sums, softmax and losses', /reduce_kernel|softmax|nll_loss|_scan_|cub::/i],
  ['pointwise', /elementwise|pointwise/i],
];

/** The kind of work of an activity of a GPU. */
export function groupOfKernel({ name, kind = 'kernel' }) {
  if (kind !== 'kernel') return 'copies';
  return GROUPS.find(([, pattern]) => pattern.test(name))?.[0] ?? 'the rest';
}

/** Length of the union of intervals: what of a time some stream computes. @param activities by their start */
export function busyTime(activities) {
  let [busy, until] = [0, Number.NEGATIVE_INFINITY];
  for (const { start, duration } of activities) {
    const end = start + duration;
    busy += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return busy;
}

function sumBy(activities, nameOf) {
  const sums = new Map();
  for (const activity of activities) {
    const name = nameOf(activity);
    const sum = sums.get(name) ?? { count: 0, duration: 0, activity };
    sums.set(name, { ...sum, count: sum.count + 1, duration: sum.duration + activity.duration });
  }
  return [...sums].toSorted(([, a], [, b]) => b.duration - a.duration);
}

/**
 * Shares of a GPU's time, of some recorded steps.
 * @param {{activities: object[], dropped: number, fault?: string}} record of recordDevice()
 * @param {number} steps how many it holds
 * @param {number} secondsPerStep as timed without a record, which makes launches slower: idle is what kernels leave of it
 * @returns {any} shares, or only a fault
 */
export function kernelShares({ activities, dropped, fault }, steps, secondsPerStep) {
  if (fault || activities.length === 0) return { fault: fault ?? 'nothing was recorded' };
  const total = activities.reduce((sum, { duration }) => sum + duration, 0);
  const perStep = ([name, { count, duration, activity }]) => ({
    name,
    group: groupOfKernel(activity),
    share: duration / total,
    calls: count / steps,
    milliseconds: duration / steps / 1000,
  });
  const busySeconds = busyTime(activities) / steps / 1e6;
  return {
    steps,
    busySeconds,
    idleShare: Math.max(0, 1 - busySeconds / secondsPerStep),
    launches: activities.length / steps,
    ...(dropped > 0 && { dropped }),
    groupShares: Object.fromEntries(
      sumBy(activities, groupOfKernel).map(([group, { duration }]) => [group, duration / total]),
    ),
    kernels: sumBy(activities, ({ name }) => shortKernelName(name)).map(perStep),
  };
}
