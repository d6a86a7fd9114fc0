// Run by each process of the DDP tests: trains a tiny WeTr on this rank's share of one fixed global batch, with
// fixed pixel labels, dropout and drop path off. Without RANK it is the one process with the whole batch.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { affinityLabel } from '../../dist/cam/affinity.js';
import { radiusMask } from '../../dist/cam/radius-mask.js';
import { Ddp, init } from '../../dist/distributed/index.js';
import { getAffLoss, getSegLoss, multilabelSoftMarginLoss } from '../../dist/losses/index.js';
import { WeTr } from '../../dist/models/wetr.js';
import { PolyWarmupAdamW } from '../../dist/optim/poly-warmup-adamw.js';
import { scope, setupSeed, Tensor } from '../../dist/tensor/index.js';

export const IMAGES = 6;
const SIZE = 64;
const CLASSES = 2;
const IGNORED = 255;

export const rank = Number(process.env.RANK ?? 0);
export const size = Number(process.env.WORLD_SIZE ?? 1);

export const join = () =>
  init({
    backend: 'gloo',
    store: { host: '127.0.0.1', port: Number(process.env.MASTER_PORT) },
    rank,
    worldSize: size,
    timeout: 30_000,
  });

/** A small model; each rank draws other weights, which Ddp must overwrite with rank 0's. */
export function makeModel(options = {}) {
  setupSeed(7 + rank);
  const model = new WeTr({
    backbone: 'mit_b0',
    numClasses: 1 + CLASSES,
    embeddingDim: 32,
    dropPath: 0,
    headDropout: 0,
    ...options,
  });
  for (const parameter of model.parameterGroups().backboneNorm) parameter.requiresGrad = false;
  return model.train();
}

export function makeOptimizer(model) {
  const { backbone, classifier, decoder } = model.parameterGroups();
  const group = (parameters, lr) => ({ parameters, lr, weightDecay: 0.01 });
  return new PolyWarmupAdamW([group(backbone, 1e-4), group([...classifier, ...decoder], 1e-3)], {
    betas: [0.9, 0.999],
    warmupIter: 1,
    maxIter: 100,
    warmupRatio: 0.5,
    power: 1,
    eps: 1e-4,
  });
}

const wave = (i, k) => Math.sin(0.05 * k * (i + 1) + i) + 0.3 * Math.cos(0.013 * k * k);

// Foregrounds are uneven: much on the first two images, none on the third and fourth, which are the whole share of
// rank 1 of 3, a corner on the fifth, and a sixth that is unknown but for one row.
function pixelLabel(i, shift) {
  const label = new BigInt64Array(SIZE * SIZE);
  for (let k = 0; k < label.length; k++) {
    const [y, x] = [Math.floor(k / SIZE), k % SIZE];
    if (i < 2) label[k] = x + shift < 20 + 20 * i ? BigInt(i + 1) : y < 8 ? 255n : 0n;
    else if (i === 4) label[k] = x < 17 && y < 17 + shift ? 2n : 0n;
    else if (i === 5) label[k] = y === 16 ? 0n : 255n;
  }
  return label;
}

function concat(parts) {
  const out = new parts[0].constructor(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** This rank's images, image labels and pixel labels. */
function share(shift) {
  const count = IMAGES / size;
  const mine = Array.from({ length: count }, (_, k) => rank * count + k);
  const image = (i) => Float32Array.from({ length: 3 * SIZE * SIZE }, (_, k) => wave(i, k));
  return {
    images: Tensor.from(concat(mine.map(image)), [count, 3, SIZE, SIZE]),
    labels: Tensor.from(
      mine.flatMap((i) => [Number(i === 0), Number(i === 1 || i === 4)]),
      [count, CLASSES],
    ),
    pixels: Tensor.from(concat(mine.map((i) => pixelLabel(i, shift))), [count, SIZE, SIZE]),
  };
}

/** This rank's share as the loader would give it. */
export function trainBatch() {
  return scope(() => {
    const { images, labels } = share(0);
    const count = images.shape[0];
    return {
      names: Array.from({ length: count }, (_, k) => `image ${rank * count + k}`),
      pixels: { kind: 'floats', data: images.toFloat32() },
      labels: labels.toFloat32(),
      boxes: Int32Array.from({ length: 4 * count }, (_, k) => (k % 2 ? SIZE : 0)),
      height: SIZE,
      width: SIZE,
    };
  });
}

/** Losses of a phase on this share; `shift` moves the labels, so that phases learn from different ones. */
export function losses(model, phase, shared) {
  const { images, labels, pixels } = share(phase === 'affinity' ? 5 : 0);
  const wanted = { cls: true, seg: phase !== 'cls', affinity: phase !== 'cls' };
  const out = model.forward(images, wanted);
  const cls = multilabelSoftMarginLoss(out.cls, labels);
  if (phase === 'cls') return { wanted, loss: cls };
  const grid = [SIZE / 16, SIZE / 16];
  const seg = getSegLoss(out.seg.interpolate([SIZE, SIZE]), pixels, IGNORED, shared);
  const pairs = affinityLabel(pixels, grid, radiusMask(grid, 2), IGNORED);
  const aff = getAffLoss(out.affinity, pairs, shared);
  return { wanted, loss: cls.add(seg.loss.mul(0.5)).add(aff.loss.mul(0.5)), seg, aff };
}

const floats = (tensors) => concat(tensors.map((t) => t.toFloat32()));
export const gradients = (model) =>
  scope(() => floats([...model.parameters().values()].map((p) => p.grad ?? Tensor.zeros(p.shape))));
export const state = (model) => floats([...model.state().values()]);
export const digest = (array) => createHash('sha256').update(new Uint8Array(array.buffer)).digest('hex');

/** Two steps in each phase. Writes gradients of every second step and the last state for rank 0. */
export async function trainShare(folder) {
  const model = makeModel();
  const group = size > 1 ? await join() : undefined;
  const ddp = group && (await Ddp.create(model, group));
  const optimizer = makeOptimizer(model);
  const steps = [];
  for (const [k, phase] of ['cls', 'cls', 'cam', 'cam', 'affinity', 'affinity'].entries()) {
    scope(() => {
      const { wanted, loss, seg, aff } = losses(model, phase, ddp);
      optimizer.zeroGrad();
      if (ddp) ddp.backward(loss, wanted);
      else loss.backward();
      const own = loss.detach().to({ dtype: 'float64' });
      const mean = ddp ? ddp.sum(own).item() / ddp.processes : own.item();
      const counts = seg ? [seg.foreground, seg.background, aff.posCount, aff.negCount] : [];
      steps.push({ phase, loss: mean, counts });
    });
    if (rank === 0 && k % 2 === 1) writeFileSync(`${folder}/gradients-${phase}.bin`, gradients(model));
    optimizer.step();
  }
  const last = state(model);
  if (rank === 0) writeFileSync(`${folder}/state.bin`, last);
  await ddp?.dispose();
  await group?.destroy();
  return { steps, digest: digest(last) };
}
