import { SegDiceAccumulator, SegmentationAccumulator } from '../metrics/index.js';

/** Scores of one kind of label map over a split, classes from background on. */
export interface LabelScores {
  /** Images with masks. */
  images: number;
  /** Share of right pixels. */
  pAcc: number;
  /** Mean over classes of the share of their pixels that is right. */
  mAcc: number;
  /** Mean IoU over the classes that the masks have. */
  miou: number;
  /** IoU by class over the pixels of all images; null for a class that nothing shows. */
  iou: (number | null)[];
  /** Dice by class, from the same pixels: 2 IoU / (1 + IoU). */
  dice: (number | null)[];
  /** Mean over images and the foreground classes of each image's label of the Dice in that image. */
  imageDice: number | null;
}

/** Streaming: memory is classes squared. */
export class LabelScoreAccumulator {
  readonly #pixels: SegmentationAccumulator;
  readonly #dice = new SegDiceAccumulator();
  #images = 0;

  /** @param numClasses classes, background included */
  constructor(numClasses: number) {
    this.#pixels = new SegmentationAccumulator(numClasses);
  }

  /**
   * @param mask [H * W], 255 is ignored
   * @param label [H * W] classes
   * @param present multi-hot image-level label [C]
   */
  add(mask: Uint8Array, label: Uint8Array, present: ArrayLike<number>): void {
    this.#images += 1;
    this.#pixels.add(mask, label);
    for (let c = 0; c < present.length; c++) if (present[c] === 1) this.#dice.add(label, mask, c + 1);
  }

  /** Everything added so far, as plain JSON: for `absorb` of another process's accumulator. */
  state() {
    return { pixels: this.#pixels.state(), dice: this.#dice.state(), images: this.#images };
  }

  absorb({ pixels, dice, images }: ReturnType<LabelScoreAccumulator['state']>): void {
    this.#pixels.absorb(pixels);
    this.#dice.absorb(dice);
    this.#images += images;
  }

  /** Null when no pixel of any mask has a class. */
  result(): LabelScores | null {
    const { pAcc, mAcc, miou, iou } = this.#pixels.result();
    if (pAcc === null || mAcc === null || miou === null) return null;
    const dice = iou.map((value) => (value === null ? null : (2 * value) / (1 + value)));
    return { images: this.#images, pAcc, mAcc, miou, iou, dice, imageDice: this.#dice.result().segDice };
  }
}
