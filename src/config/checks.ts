/** Faults that show only when several keys are seen together. */
import { familyOf } from './dataset-defaults.js';
import { expected } from './errors.js';

export interface CrossCheck {
  /** Schema keys whose values `fault` gets, in order; the fault is reported at the first. */
  keys: readonly string[];
  /** The message, or undefined when all is well. Called only with values that are each sound. */
  fault(...values: never[]): string | undefined;
}

export const CROSS_CHECKS: readonly CrossCheck[] = [
  {
    keys: ['train.cam_iters', 'train.max_iters'],
    fault: (camIters: number, maxIters: number) =>
      camIters > maxIters
        ? expected(`at most train.max_iters (${maxIters})`, 'train.cam_iters', camIters)
        : undefined,
  },
  {
    keys: ['cam.low_thre', 'cam.high_thre'],
    fault: (low: number, high: number) =>
      low > high ? expected(`at most cam.high_thre (${high})`, 'cam.low_thre', low) : undefined,
  },
  {
    // A class with the ignored value would train on nothing.
    keys: ['dataset.ignore_index', 'dataset.num_classes'],
    fault: (ignored: number, classes: number) =>
      ignored < classes
        ? expected(`a value that is no class (${classes} or above)`, 'dataset.ignore_index', ignored)
        : undefined,
  },
  {
    keys: ['cam.share_scale_1', 'cam.scales', 'train.accumulate'],
    fault: shareableScale,
  },
  {
    keys: ['cam.scales', 'dataset.crop_size', 'backbone.stride'],
    fault: smallestInput,
  },
  {
    keys: ['dataset.split.train', 'dataset.split.val', 'dataset.split.test', 'dataset.split.by'],
    fault: (train: number, val: number, test: number, by: string) =>
      by === 'patient' && Math.abs(train + val + test - 1) > 1e-6
        ? expected('shares train, val and test that add up to 1', 'dataset.split', [train, val, test])
        : undefined,
  },
  {
    keys: ['dataset.split.by', 'dataset.split.file'],
    fault: (by: string, file: string | undefined) =>
      (by === 'file') === (file !== undefined)
        ? undefined
        : expected(
            by === 'file' ? 'a JSON file in dataset.split.file' : `no dataset.split.file beside by: ${by}`,
            'dataset.split',
            file,
          ),
  },
  {
    keys: ['dataset.name_list_dir', 'dataset.name'],
    fault: (folder: string | undefined, name: string) =>
      folder === undefined && familyOf(name).needsNameLists
        ? expected(`the path of a folder of name lists (dataset '${name}')`, 'dataset.name_list_dir', folder)
        : undefined,
  },
];

/** Affinity comes from the largest scale's own pass, and accumulated parts have their labels before any of them learns. */
function shareableScale(share: boolean, scales: number[], accumulate: number): string | undefined {
  if (!share) return undefined;
  if (!scales.some((scale) => scale > 1))
    return expected(
      'a scale above 1 in cam.scales, which affinity is then read from',
      'cam.share_scale_1',
      share,
    );
  return accumulate > 1
    ? expected('false with train.accumulate above 1', 'cam.share_scale_1', share)
    : undefined;
}

/** Pixels a side of a cell, the unit of maps and affinity. */
export const cellSide = (stride: readonly number[]): number => stride.reduce((product, s) => product * s, 1);

/** Pixels a side that the first stage needs: its attention reduces the keys by an 8x8 convolution. */
export const smallestSide = (stride: readonly number[]): number => 7 * stride[0]! + 1;

function smallestInput(scales: number[], cropSize: number, stride: number[]): string | undefined {
  const smallest = Math.min(...scales);
  const needed = smallestSide(stride);
  const side = Math.floor(smallest * cropSize);
  return side < needed
    ? expected(
        `scales that leave ${needed} pixels or more (7 x backbone.stride[0] + 1) of dataset.crop_size ${cropSize}`,
        'cam.scales',
        smallest,
      )
    : undefined;
}
