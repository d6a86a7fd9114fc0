import type { LabelPoint } from '../cam/affinity.js';
import type { PipelineOptions } from '../cam/pipeline.js';
import type { Ddp } from '../distributed/ddp.js';
import type { AffinityBalance } from '../losses/index.js';
import type { Device } from '../tensor/index.js';
import type { StepGraphs } from './step-graphs.js';

/** What a training step needs beside the batch; see stepOptions(). */
export interface StepOptions extends PipelineOptions {
  /** CAM passes in eval mode, or in train mode as the original runs them. */
  camMode: 'eval' | 'train';
  segDetach: boolean;
  /** Take the maps at scale 1 from the training forward, of a batch in one piece. */
  shareScaleOne?: boolean;
  weights: { cls: number; seg: number; aff: number };
  /** Where in its cell a pixel label is read for affinity. Absent: the corner, as in the original. */
  affLabelPoint?: LabelPoint;
  /** What the affinity loss takes means over. Absent: pairs, as in the original. */
  affBalance?: AffinityBalance;
  /** Factors on the classification loss of positive labels, one for each class. Absent: none. */
  positiveWeights?: Float32Array | undefined;
  device: Device;
  /** Total stride of the encoder. */
  stride: number;
  /** Most images in the pictures of a logged step; 0 or absent: no pictures. */
  pictures?: number;
  /** Trains together with other processes, each with a share of the batch. */
  ddp?: Ddp;
  /** Whether somebody wants this process to stop: with `ddp` all learn of it with the step's numbers. */
  stopAsked?: () => boolean;
  /** Where steps are recorded; see stepGraphs(). Absent: nowhere. */
  graphs?: StepGraphs | undefined;
}
