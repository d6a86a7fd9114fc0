/**
 * What the public types promise, checked by the compiler: `npm run lint` compiles this file, nothing runs it.
 * A line under @ts-expect-error fails the compilation when it stops being a fault.
 */
import { expectTypeOf } from 'vitest';
import {
  type Batch,
  batchImages,
  batchRgb,
  type Config,
  type Dataset,
  type DType,
  getAffLoss,
  getDevice,
  getDownSize,
  getMaskByRadius,
  getSegLoss,
  keep,
  loadCheckpoint,
  loadConfig,
  MedicalClsDataset,
  type MedicalClsValDataset,
  type MedicalSliceDataset,
  multiScaleCam,
  noGrad,
  type PolyWarmupAdamW,
  type Prediction,
  Predictor,
  type RawTensor,
  type RgbImage,
  readNpy,
  registerDataset,
  robustReadNpy,
  type Summary,
  scope,
  setupSeed,
  Tensor,
  train,
  WeTr,
  type WeTrOptions,
} from '../../src/index.js';

declare const tensor: Tensor;
declare const model: WeTr;
declare const predictor: Predictor;

// Tensors: shapes are read-only, operands are tensors or numbers, element types are known names.
expectTypeOf(tensor.shape).toEqualTypeOf<readonly number[]>();
expectTypeOf(tensor.add(1).mul(tensor)).toEqualTypeOf<Tensor>();
expectTypeOf(tensor.max(1)).toEqualTypeOf<{ values: Tensor; indices: Tensor }>();
expectTypeOf(tensor.dtype).toEqualTypeOf<DType>();
expectTypeOf(tensor.grad).toEqualTypeOf<Tensor | undefined>();
expectTypeOf(tensor.item()).toBeNumber();
// @ts-expect-error a shape cannot be changed in place
tensor.shape[0] = 2;
// @ts-expect-error no such element type
Tensor.zeros([2], 'float');
// @ts-expect-error a string is no operand
tensor.add('1');
// @ts-expect-error no such device
tensor.to({ device: 'gpu' });
tensor.to({ device: 'cuda:1', dtype: 'bfloat16' });

// Scopes give back what their body returns.
expectTypeOf(scope(() => ({ loss: tensor, count: 1 }))).toEqualTypeOf<{ loss: Tensor; count: number }>();
expectTypeOf(noGrad(() => 'text')).toBeString();
expectTypeOf(keep(tensor)).toEqualTypeOf<Tensor>();

// Model: what was not asked for may be absent.
expectTypeOf(model.forward(tensor).cls).toEqualTypeOf<Tensor | undefined>();
expectTypeOf(model.forwardCam(tensor)).toEqualTypeOf<Tensor>();
expectTypeOf(model.stateDict()).toEqualTypeOf<Map<string, RawTensor>>();
expectTypeOf<WeTrOptions['pooling']>().toEqualTypeOf<'gmp' | 'gap' | undefined>();
// @ts-expect-error the class count is required
new WeTr({ backbone: 'mit_b1' });
// @ts-expect-error the model's parameters are changed by training, not replaced
model.parameters().set('classifier.weight', tensor);
// @ts-expect-error scales are required
multiScaleCam(model, tensor, {});

// Losses and optimizer.
expectTypeOf(getSegLoss(tensor, tensor).loss).toEqualTypeOf<Tensor>();
expectTypeOf(getAffLoss(tensor, tensor).posCount).toBeNumber();
expectTypeOf<PolyWarmupAdamW['learningRates']>().returns.toEqualTypeOf<number[]>();

// The seed document's utilities.
expectTypeOf(getDownSize([320, 320], 16)).toEqualTypeOf<[number, number]>();
expectTypeOf(getMaskByRadius(20, 20, 8)).toMatchTypeOf<Uint8Array>();
expectTypeOf(setupSeed).parameters.toEqualTypeOf<[seed: number]>();
expectTypeOf(getDevice()).toEqualTypeOf<Tensor['device']>();
expectTypeOf(robustReadNpy('slice.npy')).toEqualTypeOf<RgbImage>();
expectTypeOf<MedicalClsDataset>().toMatchTypeOf<MedicalSliceDataset>();
expectTypeOf<MedicalClsValDataset>().toMatchTypeOf<Dataset>();
// @ts-expect-error a training dataset needs its crop size
new MedicalClsDataset({ rootDir: 'slices', sliceSplit: [0, 1] });
// @ts-expect-error a dataset must be able to open a split
registerDataset({ name: 'mine', title: 'Mine' });

// Configurations are typed and frozen.
expectTypeOf(loadConfig({ dataset: 'lasc' }).config).toEqualTypeOf<Config>();
declare const config: Config;
expectTypeOf(config.train.max_iters).toBeNumber();
// @ts-expect-error read-only
config.train.max_iters = 1;
expectTypeOf(train).returns.resolves.toEqualTypeOf<Summary | undefined>();
expectTypeOf<Batch['boxes']>().toMatchTypeOf<Int32Array>();
declare const batch: Batch;
expectTypeOf(batchImages(batch, 'cuda')).toEqualTypeOf<Tensor>();
expectTypeOf(batch.pixels.kind === 'bytes' && batch.pixels.data).toEqualTypeOf<false | Uint8Array>();
expectTypeOf(batchRgb(batch, 0)).toMatchTypeOf<Uint8Array>();
expectTypeOf(readNpy('a.npy').shape).toEqualTypeOf<number[]>();

// Embedding: everything that takes time is a promise.
expectTypeOf(Predictor.load('best.pth')).resolves.toEqualTypeOf<Predictor>();
expectTypeOf(loadCheckpoint('best.pth')).resolves.toEqualTypeOf<Map<string, RawTensor>>();
expectTypeOf(predictor.predict('slice.npy')).resolves.toEqualTypeOf<Prediction>();
expectTypeOf<Prediction['cam']>().toMatchTypeOf<Float32Array>();
expectTypeOf<Prediction['segmentation']>().toMatchTypeOf<Uint8Array>();
expectTypeOf(predictor.heatmap('slice.npy', new Float32Array(1))).resolves.toMatchTypeOf<Uint8Array>();
predictor.predict({ data: new Float32Array(3), height: 1, width: 1, channels: 3 });
// @ts-expect-error four channels are refused
predictor.predict({ data: new Uint8Array(4), height: 1, width: 1, channels: 4 });
// @ts-expect-error only load() makes one
new Predictor(model, 'cpu', {});
