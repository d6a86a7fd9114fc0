import { affinityLabel } from '../cam/affinity.js';
import { denormalize } from '../cam/denormalize.js';
import { getDownSize } from '../cam/down-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import { propagated } from '../cam/pipeline.js';
import { camToLabel, validCam } from '../cam/pseudo-labels.js';
import { getMaskByRadius, radiusMask } from '../cam/radius-mask.js';
import { pixelAdaptiveRefine, refinedAffLabel, refinedPseudoLabel, refineInBoxes } from '../cam/refine.js';
import { getAffLoss, getSegLoss, multilabelSoftMarginLoss } from '../losses/index.js';
import { WeTr } from '../models/wetr.js';
import { PolyWarmupAdamW } from '../optim/poly-warmup-adamw.js';
import { IMAGE_MEAN, IMAGE_STD } from '../tensor/image-statistics.js';
import { type Device, noGrad, scope, Tensor } from '../tensor/index.js';
import { deterministicState } from './deterministic-weights.js';
import type { Fixture, FixtureFacts } from './fixture.js';
import { type Comparison, TOLERANCE } from './report.js';
import { NoiseTracker } from './rounding-noise.js';

// Constants of the reference runs (reference notes, "model/").
const THRESHOLDS = { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 };
const PAR = { numIter: 10, dilations: [1, 2, 4, 8, 12, 24] };
const SCALES = [1, 0.5, 1.5];
const RADIUS = 8;
const LOSS_WEIGHTS = { seg: 0.1, aff: 0.1 };
const WEIGHT_DECAY = 0.01;
/** Share of the largest gradient below which a cancelling sum is rounding: a sixth of float32's last bit. */
const ROUNDING = 1e-8;

/** One fixture's model and tensors, with what every stage needs of them. */
export class ModelStages {
  readonly #facts: FixtureFacts;
  readonly #device: Device;
  readonly #tensors: Map<string, Tensor>;
  readonly #compare: Comparison;
  readonly #model: WeTr;
  readonly #boxes: Int32Array;

  constructor(fixture: Fixture, compare: Comparison) {
    this.#facts = fixture.facts as FixtureFacts;
    this.#device = fixture.device;
    this.#tensors = fixture.tensors;
    this.#compare = compare;
    this.#model = this.#freshModel();
    this.#boxes = Int32Array.from(this.#get('img_box').toFloat32());
  }

  /** Runs every stage whose expected tensors are there, each on the fixture's own inputs to it. */
  run(): void {
    const stages = [
      this.#normalisation,
      this.#evalForward,
      this.#trainForward,
      this.#multiScale,
      this.#pseudoLabels,
      this.#refinement,
      this.#propagation,
      this.#affinityLabels,
      this.#gradients,
      this.#optimizer,
      this.#wholeChain,
    ];
    for (const stage of stages) scope(() => stage.call(this));
    this.#model.dispose();
  }

  #freshModel(): WeTr {
    const { backbone, num_classes, pooling } = this.#facts;
    const model = new WeTr({ backbone, numClasses: num_classes, pooling, dropPath: 0, headDropout: 0 });
    model.loadStateDict(deterministicState(model.state()), 'deterministic weights');
    return model.to(this.#device).eval();
  }

  #get(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`Expected tensor '${name}' in the fixture but it is not there`);
    return tensor;
  }
  #has = (...names: string[]): boolean => names.every((name) => this.#tensors.has(name));

  #floats(name: string, ours: Tensor): void {
    if (this.#has(name)) this.#compare.floats(name, ours, this.#get(name));
  }
  #labels(name: string, ours: Tensor): void {
    if (this.#has(name)) this.#compare.labels(name, ours, this.#get(name));
  }

  #normalisation(): void {
    const bytes = this.#get('images_u8').permute(0, 3, 1, 2).to({ dtype: 'float32' });
    const column = (values: readonly number[]) =>
      Tensor.from([...values], [1, 3, 1, 1], 'float32', this.#device);
    this.#floats('input', bytes.sub(column(IMAGE_MEAN)).div(column(IMAGE_STD)));
    if (this.#has('denorm')) this.#floats('denorm', denormalize(this.#get('input')));
  }

  #evalForward(): void {
    noGrad(() => {
      const out = this.#model.forward(this.#get('input'), {
        cls: true,
        seg: true,
        affinity: true,
        attention: true,
      });
      this.#floats('cls', out.cls!);
      this.#floats('seg', out.seg!);
      this.#floats('attn_pred', out.affinity!);
      for (const [i, map] of out.attention!.entries()) this.#floats(`attn.${i}`, map);
    });
  }

  /** Train-mode BatchNorm; the reference ran it with every dropout at 0, as this model is made. */
  #trainForward(): void {
    if (!this.#has('train.seg')) return;
    const model = this.#freshModel().train();
    noGrad(() => {
      const out = model.forward(this.#get('input'), { cls: true, seg: true });
      this.#floats('train.cls', out.cls!);
      this.#floats('train.seg', out.seg!);
    });
    for (const statistic of ['running_mean', 'running_var'])
      this.#floats(`train.bn.${statistic}`, model.state().get(`decoder.linear_fuse.bn.${statistic}`)!);
    model.dispose();
  }

  #multiScale(): void {
    const { cam, affinity } = multiScaleCam(this.#model, this.#get('input'), {
      scales: SCALES,
      affinity: true,
      flippedAffinity: true,
    });
    this.#floats('ms.cam', cam);
    this.#floats('ms.aff', affinity!);
  }

  #pseudoLabels(): void {
    if (!this.#has('ms.cam', 'valid_cam')) return;
    const valid = validCam(this.#get('ms.cam'), this.#get('cls_labels'));
    this.#floats('valid_cam', valid);
    this.#labels('pseudo_label', camToLabel(this.#get('valid_cam'), this.#boxes, THRESHOLDS));
  }

  #refinement(): void {
    if (!this.#has('denorm', 'par.in')) return;
    const colours = this.#get('denorm');
    const [, , h, w] = colours.shape as [number, number, number, number];
    const small = colours.interpolate([Math.floor(h / 2), Math.floor(w / 2)]);
    this.#floats('par.out', pixelAdaptiveRefine(small, this.#get('par.in'), PAR));
    this.#labels(
      'refined_pseudo_label',
      refinedPseudoLabel(colours, this.#get('ms.cam'), this.#get('cls_labels'), this.#boxes, THRESHOLDS, PAR),
    );
  }

  /** The grid of the largest scale, and the affinity of the unflipped images on it. */
  #largestScale() {
    const largest = Math.max(...SCALES);
    const scaled = [this.#facts.height, this.#facts.width].map((d) => Math.floor(d * largest));
    const grid = getDownSize(scaled as [number, number]);
    return { grid, affinity: this.#get('ms.aff').narrow(0, 0, this.#facts.batch), cam: this.#get('ms.cam') };
  }

  #propagation(): void {
    if (!this.#has('aff_cam_l_small')) return;
    const scores = [THRESHOLDS.lowThre, THRESHOLDS.highThre];
    const labels = this.#get('cls_labels');
    const [low, high] = propagated(this.#largestScale(), this.#get('valid_cam'), labels, scores, RADIUS);
    this.#floats('aff_cam_l_small', low!);
    const size = [this.#facts.height, this.#facts.width] as const;
    const full = [low!, high!].map((cam) => cam.interpolate(size));
    const [refinedLow, refinedHigh] = refineInBoxes(this.#get('denorm'), full, this.#boxes, PAR);
    this.#floats('refined_aff_cam_l', refinedLow!);
    this.#floats('refined_aff_cam_h', refinedHigh!);
    this.#labels(
      'refined_aff_label',
      refinedAffLabel(
        this.#get('refined_aff_cam_h'),
        this.#get('refined_aff_cam_l'),
        this.#boxes,
        THRESHOLDS,
      ),
    );
  }

  #affinityGrid(): [number, number] {
    return getDownSize([this.#facts.height, this.#facts.width]);
  }

  #affinityLabels(): void {
    const grid = this.#affinityGrid();
    if (this.#has('mask_radius8')) {
      const n = grid[0] * grid[1];
      this.#labels('mask_radius8', Tensor.from(getMaskByRadius(...grid, RADIUS), [n, n]));
    }
    if (this.#has('aff_label', 'refined_pseudo_label'))
      this.#labels('aff_label', this.#affinityTarget(this.#get('refined_pseudo_label')));
  }

  #affinityTarget(label: Tensor): Tensor {
    const grid = this.#affinityGrid();
    return affinityLabel(label, grid, radiusMask(grid, RADIUS, this.#device), THRESHOLDS.ignoreIndex);
  }

  /** The total loss on fixed labels, as the reference's gradients and optimizer steps use it. */
  #losses(model: WeTr, label: Tensor) {
    const out = model.forward(this.#get('input'), { cls: true, seg: true, affinity: true });
    const cls = multilabelSoftMarginLoss(out.cls!, this.#get('cls_labels'));
    const segLogits = out.seg!.interpolate([this.#facts.height, this.#facts.width]);
    const seg = getSegLoss(segLogits, label, THRESHOLDS.ignoreIndex);
    const aff = getAffLoss(out.affinity!, this.#affinityTarget(label));
    const total = cls.add(seg.loss.mul(LOSS_WEIGHTS.seg)).add(aff.loss.mul(LOSS_WEIGHTS.aff));
    return { cls, seg, aff, total };
  }

  #gradients(): void {
    const { losses, grad_l2 } = this.#facts;
    if (!losses || !grad_l2) return;
    const label = this.#get('refined_pseudo_label').to({ dtype: 'int64' });
    const { cls, seg, aff, total } = this.#losses(this.#model, label);
    this.#compare.number('losses.cls', cls.item(), losses.cls);
    this.#compare.number('losses.seg', seg.loss.item(), losses.seg);
    this.#compare.number('losses.aff', aff.loss.item(), losses.aff);
    this.#compare.number('losses.total', total.item(), losses.total);
    this.#compare.number('losses.pos_count', aff.posCount, losses.pos_count, 0);
    this.#compare.number('losses.neg_count', aff.negCount, losses.neg_count, 0);
    total.backward();
    const rounding = ROUNDING * Math.max(...Object.values(grad_l2));
    for (const [name, norm] of Object.entries(grad_l2)) {
      const gradient = this.#model.parameters().get(name)?.grad;
      const ours = gradient ? gradient.norm().item() : Number.NaN;
      this.#compare.number(`grad_l2.${name}`, ours, norm, TOLERANCE.float, rounding);
    }
    for (const name of this.#tensors.keys()) {
      if (!name.startsWith('grad.')) continue;
      const gradient = this.#model.parameters().get(name.slice('grad.'.length))?.grad;
      if (gradient) this.#compare.floats(name, gradient, this.#get(name), TOLERANCE.float, rounding);
      else this.#compare.number(name, Number.NaN, 0);
    }
    for (const parameter of this.#model.parameters().values()) parameter.clearGrad();
  }

  #optimizer(): void {
    const facts = this.#facts.optimizer;
    if (!facts) return;
    const model = this.#freshModel();
    const before = new Map([...model.parameters()].map(([name, p]) => [name, p.detach().clone()]));
    const groups = model.parameterGroups();
    const optimizer = new PolyWarmupAdamW(
      [
        { parameters: groups.backbone, lr: facts.lr, weightDecay: WEIGHT_DECAY },
        { parameters: groups.backboneNorm, lr: 0, weightDecay: 0 },
        { parameters: groups.classifier, lr: facts.lr * 10, weightDecay: WEIGHT_DECAY },
        { parameters: groups.decoder, lr: facts.lr * 10, weightDecay: WEIGHT_DECAY },
      ],
      {
        betas: [0.9, 0.999],
        warmupIter: facts.warmup_iter,
        maxIter: facts.max_iter,
        warmupRatio: facts.warmup_ratio,
        power: facts.power,
      },
    );
    const label = this.#get('refined_pseudo_label').to({ dtype: 'int64' });
    const noise = new NoiseTracker(model);
    for (const { step, loss, lr } of facts.trajectory) {
      scope(() => {
        const { total } = this.#losses(model, label);
        this.#compare.number(`optimizer.${step}.loss`, total.item(), loss, TOLERANCE.parameterChange);
        this.#compare.numbers(`optimizer.${step}.lr`, optimizer.learningRates(), lr);
        optimizer.zeroGrad();
        total.backward();
        noise.observe(lr[0]!); // the encoder group
        optimizer.step();
      });
    }
    for (const [name, parameter] of model.parameters()) {
      const [start, after] = [before.get(name)!, parameter.detach()];
      const change = after.sub(start);
      const norm = (
        key: string,
        of: Tensor,
        theirs: number,
        from: (i: number) => number,
        tolerance: number,
      ) => {
        const noisy = noise.range(name, of.toFloat32(), from);
        if (noisy) this.#compare.range(key, noisy.range, theirs, tolerance, noisy.note);
        else this.#compare.number(key, of.norm().item(), theirs, tolerance);
      };
      const initial = start.toFloat32();
      norm(`optimizer.param_l2.${name}`, after, facts.param_l2[name]!, (i) => initial[i]!, TOLERANCE.float);
      const theirChange = facts.param_delta_l2[name]!;
      norm(`optimizer.param_delta_l2.${name}`, change, theirChange, () => 0, TOLERANCE.parameterChange);
    }
    optimizer.dispose();
    model.dispose();
  }

  /** From pixels to affinity labels on our own intermediate results. */
  #wholeChain(): void {
    if (!this.#has('refined_pseudo_label', 'refined_aff_label')) return;
    const input = this.#get('input');
    const labels = this.#get('cls_labels');
    const multi = multiScaleCam(this.#model, input, { scales: SCALES, affinity: true });
    const valid = validCam(multi.cam, labels);
    const colours = denormalize(input);
    const pseudo = refinedPseudoLabel(colours, multi.cam, labels, this.#boxes, THRESHOLDS, PAR);
    this.#compare.labels('chain.refined_pseudo_label', pseudo, this.#get('refined_pseudo_label'));
    const scores = [THRESHOLDS.highThre, THRESHOLDS.lowThre];
    const cams = propagated(multi, valid, labels, scores, RADIUS).map((cam) =>
      cam.interpolate([this.#facts.height, this.#facts.width]),
    );
    const [strict, lenient] = refineInBoxes(colours, cams, this.#boxes, PAR);
    const refined = refinedAffLabel(strict!, lenient!, this.#boxes, THRESHOLDS);
    this.#compare.labels('chain.refined_aff_label', refined, this.#get('refined_aff_label'));
    this.#compare.labels('chain.aff_label', this.#affinityTarget(pseudo), this.#get('aff_label'));
  }
}
