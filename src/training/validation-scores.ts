import type { Batch } from '../loading/batch.js';
import {
  CamAccumulator,
  type ClassificationScores,
  confusionScores,
  MultiLabelAccumulator,
  type Reasons,
  SegDiceAccumulator,
  SegmentationAccumulator,
} from '../metrics/index.js';
import type { ScoresWithIntervals } from './cases.js';

/** Pixel scores from one confusion matrix over all masks, as the original's `evaluate.scores` gives them. */
export interface PixelScores {
  /** Share of right pixels. */
  pAcc: number;
  /** Mean over classes of the share of their pixels that is right. */
  mAcc: number;
  /** Mean IoU over the classes that the masks have. */
  miou: number;
  /** IoU by class, background first; null for a class that nothing shows. */
  iou: (number | null)[];
}

/** Scores of one foreground class; null where there is none, e.g. without masks. */
export interface ClassScores {
  name: string;
  auroc: number | null;
  averagePrecision: number | null;
  f1: number | null;
  /** As in ValidationScores, over the images that have the class. */
  camDiceBest: { threshold: string; dice: number } | null;
  segDice: number | null;
  pointingGame: number | null;
}

/** Scores over one split. A score that cannot be computed is null, and `reasons` says why. */
export interface ValidationScores {
  images: number;
  /** Classification loss, mean over images. */
  loss: number;
  /** Of several classes, these are means over the classes. */
  auroc: number | null;
  accuracy: number | null;
  f1: number | null;
  sensitivity: number | null;
  specificity: number | null;
  /** Mean over classes of average precision. */
  mAP: number | null;
  /** F1 of each image's set of labels, mean over images: the original's "cls score". Absent with one class. */
  sampleF1?: number | null;
  /** By foreground class; absent with one class. */
  classes?: ClassScores[];
  /** Mean Dice of multi-scale CAM > threshold over positive slices, "0.05" to "0.95". */
  camDice: Record<string, number> | null;
  /** The threshold of highest camDice, and that Dice. */
  camDiceBest: { threshold: string; dice: number } | null;
  /** Mean Dice of the segmentation head over positive slices. */
  segDice: number | null;
  /** Share of positive slices whose CAM maximum lies in the mask. */
  pointingGame: number | null;
  /** The segmentation head, CAM > cam.bkg_score, and CAM after propagation, over all images with masks. */
  segScore: PixelScores | null;
  camScore: PixelScores | null;
  affScore: PixelScores | null;
  /** Scores of cases with intervals from resampling patients. */
  evaluation?: ScoresWithIntervals;
  reasons: Reasons;
}

/** What one pass gives for a batch, [B, H, W] and [B, C, H, W] flattened. */
export interface PixelResults {
  cams: Float32Array;
  seg: Float32Array;
  camLabels: Float32Array;
  /** Absent where the pass was not asked for it. */
  affLabels?: Float32Array | undefined;
}

const WITHOUT_MAPS = {
  camDice: null,
  camDiceBest: null,
  segDice: null,
  pointingGame: null,
  segScore: null,
  camScore: null,
  affScore: null,
};
const MAP_SCORES = ['camDice', 'segDice', 'pointingGame', 'segScore', 'camScore', 'affScore'] as const;

/** Accumulators of one validation. */
export class ScoreAccumulator {
  readonly #classification: MultiLabelAccumulator;
  readonly #cam = new CamAccumulator();
  readonly #segDice = new SegDiceAccumulator();
  readonly #byClass: { cam: CamAccumulator; segDice: SegDiceAccumulator }[];
  readonly #seg: SegmentationAccumulator;
  readonly #camLabels: SegmentationAccumulator;
  readonly #affLabels: SegmentationAccumulator;
  #sampleF1 = 0;
  #samples = 0;
  #lossSum = 0;
  #masks = 0;
  images = 0;

  readonly numLabels: number;

  /** @param classes names of the classes, background first */
  constructor(readonly classes: readonly string[]) {
    const numLabels = classes.length - 1;
    this.numLabels = numLabels;
    this.#classification = new MultiLabelAccumulator(numLabels);
    this.#byClass = Array.from({ length: numLabels }, () => ({
      cam: new CamAccumulator(),
      segDice: new SegDiceAccumulator(),
    }));
    const pixels = () => new SegmentationAccumulator(numLabels + 1);
    [this.#seg, this.#camLabels, this.#affLabels] = [pixels(), pixels(), pixels()];
  }

  /** @param loss mean over the batch @param probabilities [B, numLabels] */
  addClassification(batch: Batch, loss: number, probabilities: Float32Array): void {
    const count = batch.names.length;
    this.#lossSum += loss * count;
    this.images += count;
    for (let i = 0; i < count; i++) {
      const row = (values: Float32Array) => values.subarray(i * this.numLabels, (i + 1) * this.numLabels);
      this.#classification.add(row(probabilities), row(batch.labels));
      this.#addSample(row(probabilities), row(batch.labels));
    }
  }

  #addSample(probabilities: Float32Array, labels: Float32Array): void {
    const counts = { truePositives: 0, falsePositives: 0, trueNegatives: 0, falseNegatives: 0 };
    for (const [c, label] of labels.entries()) {
      if (label === 1) counts[probabilities[c]! > 0.5 ? 'truePositives' : 'falseNegatives']++;
      else if (probabilities[c]! > 0.5) counts.falsePositives++;
    }
    const { f1 } = confusionScores(counts);
    // Neither a label nor a prediction: there is no F1, and 0 would punish the right answer.
    if (f1 === null) return;
    this.#sampleF1 += f1;
    this.#samples += 1;
  }

  /** Images with masks count; those without are skipped. */
  addPixels(batch: Batch, { cams, seg, camLabels, affLabels }: PixelResults): void {
    const pixels = batch.height * batch.width;
    const plane = (values: Float32Array, at: number) => values.subarray(at * pixels, (at + 1) * pixels);
    for (const [i, mask] of (batch.masks ?? []).entries()) {
      if (!mask) continue;
      this.#masks += 1;
      this.#seg.add(mask.data, plane(seg, i));
      this.#camLabels.add(mask.data, plane(camLabels, i));
      if (affLabels) this.#affLabels.add(mask.data, plane(affLabels, i));
      for (let c = 0; c < this.numLabels; c++) {
        const label = i * this.numLabels + c;
        if (batch.labels[label] !== 1) continue;
        const ofClass = this.numLabels > 1 ? [this.#byClass[c]!] : [];
        for (const { cam, segDice } of [{ cam: this.#cam, segDice: this.#segDice }, ...ofClass]) {
          cam.add(plane(cams, label), mask.data, c + 1);
          segDice.add(plane(seg, i), mask.data, c + 1);
        }
      }
    }
  }

  /** Everything added so far, as plain JSON: for `absorb` of another process's accumulator. */
  state() {
    return {
      classification: this.#classification.state(),
      cam: this.#cam.state(),
      segDice: this.#segDice.state(),
      byClass: this.#byClass.map(({ cam, segDice }) => ({ cam: cam.state(), segDice: segDice.state() })),
      seg: this.#seg.state(),
      camLabels: this.#camLabels.state(),
      affLabels: this.#affLabels.state(),
      counts: [this.#sampleF1, this.#samples, this.#lossSum, this.#masks, this.images],
    };
  }

  /** Adds what another accumulator has: the images of two processes, scored as one. */
  absorb(state: ReturnType<ScoreAccumulator['state']>): void {
    this.#classification.absorb(state.classification);
    this.#cam.absorb(state.cam);
    this.#segDice.absorb(state.segDice);
    for (const [c, { cam, segDice }] of this.#byClass.entries()) {
      cam.absorb(state.byClass[c]!.cam);
      segDice.absorb(state.byClass[c]!.segDice);
    }
    this.#seg.absorb(state.seg);
    this.#camLabels.absorb(state.camLabels);
    this.#affLabels.absorb(state.affLabels);
    const [sampleF1, samples, lossSum, masks, images] = state.counts as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.#sampleF1 += sampleF1;
    this.#samples += samples;
    this.#lossSum += lossSum;
    this.#masks += masks;
    this.images += images;
  }

  /** @param wanted what the pass was asked for: without `cam` no map is scored */
  result(wanted: { cam: boolean; aff: boolean }): ValidationScores {
    const { mean, perClass, reasons } = this.#classification.result();
    const { averagePrecision: _, ...why } = reasons;
    const { auroc, accuracy, f1, sensitivity, specificity, averagePrecision: mAP } = mean;
    const scores = { images: this.images, loss: this.#lossSum / this.images };
    const classification = {
      ...scores,
      ...{ auroc, accuracy, f1, sensitivity, specificity, mAP },
      ...(this.numLabels > 1 && this.#severalClasses(perClass)),
    };
    if (mAP === null) why.mAP = reasons.averagePrecision!;
    if (!wanted.cam || this.#masks === 0) {
      const absent = wanted.cam ? 'no masks beside the images' : 'val.cam is false';
      const all = Object.fromEntries(MAP_SCORES.map((name) => [name, absent]));
      return { ...classification, ...WITHOUT_MAPS, reasons: { ...why, ...all } };
    }
    const maps = this.#cam.result();
    const { segDice, reasons: segReasons } = this.#segDice.result();
    const { camIou: _iou, ...mapReasons } = maps.reasons;
    const pixels = {
      segScore: pixelScores(this.#seg),
      camScore: pixelScores(this.#camLabels),
      affScore: wanted.aff ? pixelScores(this.#affLabels) : null,
    };
    Object.assign(why, mapReasons, segReasons);
    for (const [name, score] of Object.entries(pixels))
      if (!score) why[name] = this.#seg.result().reasons.miou ?? 'val.aff is false';
    return {
      ...classification,
      camDice: maps.camDice,
      camDiceBest: maps.best,
      segDice,
      pointingGame: maps.pointingGame,
      ...pixels,
      reasons: why,
    };
  }

  #severalClasses(perClass: readonly ClassificationScores[]): Pick<ValidationScores, 'sampleF1' | 'classes'> {
    const sampleF1 = this.#samples === 0 ? null : this.#sampleF1 / this.#samples;
    const classes = perClass.map(({ auroc, averagePrecision, f1 }, c) => {
      const { cam, segDice } = this.#byClass[c]!;
      const { best: camDiceBest, pointingGame } = cam.result();
      const name = this.classes[c + 1]!;
      return {
        name,
        auroc,
        averagePrecision,
        f1,
        camDiceBest,
        segDice: segDice.result().segDice,
        pointingGame,
      };
    });
    return { sampleF1, classes };
  }
}

function pixelScores(accumulator: SegmentationAccumulator): PixelScores | null {
  const { pAcc, mAcc, miou, iou } = accumulator.result();
  return pAcc === null || mAcc === null || miou === null ? null : { pAcc, mAcc, miou, iou };
}
