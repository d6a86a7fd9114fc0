import { native, type WeTrHandle } from '../native/index.js';
import { type Device, keep, type RawTensor, Tensor } from '../tensor/index.js';
import { getBackbone } from './backbones.js';
import { StateDictMismatch } from './state-dict.js';

export interface WeTrOptions {
  /** mit_b0 ... mit_b5 */
  backbone: string;
  /** Classes with background. */
  numClasses: number;
  /** Strides of the four patch embeddings; AFA's [4, 2, 2, 1] gives an output stride of 16. */
  stride?: readonly number[];
  /** How the classifier pools the last stage: global max or average. */
  pooling?: 'gmp' | 'gap';
  /** Width of the segmentation head. */
  embeddingDim?: number;
  /** Drop-path rate of the last block while training; earlier ones rise linearly to it. */
  dropPath?: number;
  /** Share of the segmentation head's channels dropped while training. */
  headDropout?: number;
  /** bf16: products and convolutions in bfloat16 by libtorch's autocast. Parameters and outputs are float32 anyway. */
  amp?: Amp;
  /** On CUDA, CAM passes over batches of a shape that keeps coming are captured and replayed as graphs. */
  cudaGraphs?: boolean;
}

/** Automatic mixed precision. */
export type Amp = 'none' | 'bf16';

/** Which outputs to compute: what is not asked for costs nothing. */
export interface Wanted {
  cls?: boolean;
  seg?: boolean;
  affinity?: boolean;
  attention?: boolean;
  /** Raw class activation maps, without a gradient. */
  cam?: boolean;
  /** The segmentation head sends no gradient into the encoder. */
  segDetach?: boolean;
}

export interface WeTrOutput {
  /** [B, numClasses-1] class logits. */
  cls?: Tensor;
  /** [B, numClasses, H/4, W/4] segmentation logits. */
  seg?: Tensor;
  /** [B, N, N] predicted affinity of the last stage's N = h*w positions, in (0, 1). */
  affinity?: Tensor;
  /** For each block: pre-softmax, unscaled attention logits [B, heads, M, M], queries averaged to the key grid. */
  attention?: Tensor[];
  /** [B, numClasses-1, h, w] raw class activation maps of the last stage. */
  cam?: Tensor;
}

/** The original's four parameter groups. */
export interface ParameterGroups {
  backbone: Tensor[];
  /** Encoder parameters with "norm" in their name: learning rate 0 for the whole training. */
  backboneNorm: Tensor[];
  /** Classifier and affinity projection. */
  classifier: Tensor[];
  decoder: Tensor[];
}

/**
 * WeTr of AFA (Ru et al., CVPR 2022): Mix-Transformer encoder, CAM classifier, SegFormer head, affinity
 * projection. Weights are drawn from the process's seeded generator (setupSeed). Parameter names are PyTorch's.
 */
export class WeTr {
  readonly #handle: WeTrHandle;
  readonly #parameters: ReadonlyMap<string, Tensor>;
  readonly #state: ReadonlyMap<string, Tensor>;
  readonly options: Required<WeTrOptions>;
  #training = true;

  constructor(options: WeTrOptions) {
    const { embedDims, depths } = getBackbone(options.backbone);
    this.options = {
      stride: [4, 2, 2, 1],
      pooling: 'gmp',
      embeddingDim: 256,
      dropPath: 0.1,
      headDropout: 0.1,
      amp: 'none',
      cudaGraphs: true,
      ...options,
    };
    const { stride, dropPath, numClasses, embeddingDim, pooling, headDropout, amp, cudaGraphs } =
      this.options;
    if (pooling !== 'gmp' && pooling !== 'gap')
      throw new RangeError(`Expected pooling 'gmp' or 'gap' but received '${pooling}'`);
    if (amp !== 'none' && amp !== 'bf16')
      throw new RangeError(`Expected amp 'none' or 'bf16' but received '${amp}'`);
    this.#handle = native.wetrCreate(
      embedDims,
      depths,
      stride,
      dropPath,
      numClasses,
      embeddingDim,
      pooling === 'gmp',
      headDropout,
      amp === 'bf16',
      cudaGraphs,
    );
    const named = (names: string[], handles: Parameters<typeof native.add>[0][]) =>
      new Map(names.map((name, i) => [name, keep(new Tensor(handles[i]!))]));
    this.#parameters = named(native.wetrParameterNames(this.#handle), native.wetrParameters(this.#handle));
    this.#state = named(native.wetrStateNames(this.#handle), native.wetrState(this.#handle));
  }

  /** @internal For src/cam and src/distributed, which work on the model inside the addon. */
  get handle(): WeTrHandle {
    return this.#handle;
  }
  get training(): boolean {
    return this.#training;
  }

  train(mode = true): this {
    native.wetrTrain(this.#handle, mode);
    this.#training = mode;
    return this;
  }
  eval(): this {
    return this.train(false);
  }

  /** images [B, 3, H, W], normalised. */
  forward(images: Tensor, wanted: Wanted = { cls: true, seg: true, affinity: true }): WeTrOutput {
    const {
      cls = false,
      seg = false,
      affinity = false,
      attention = false,
      cam = false,
      segDetach = false,
    } = wanted;
    const [clsOut, segOut, camOut, affinityOut, attentionOut] = native.wetrForward(
      this.#handle,
      Tensor.handle(images),
      cls,
      seg,
      cam,
      affinity,
      attention,
      segDetach,
    );
    const out: WeTrOutput = {};
    if (clsOut) out.cls = new Tensor(clsOut);
    if (segOut) out.seg = new Tensor(segOut);
    if (camOut) out.cam = new Tensor(camOut);
    if (affinityOut) out.affinity = new Tensor(affinityOut);
    if (attention) out.attention = attentionOut.map((handle) => new Tensor(handle));
    return out;
  }

  /** The encoder's four stage outputs, [B, C_i, H_i, W_i]. */
  forwardFeatures(images: Tensor): Tensor[] {
    return native.wetrFeatures(this.#handle, Tensor.handle(images)).map((handle) => new Tensor(handle));
  }

  /** Raw class activation maps [B, numClasses-1, h, w] of one scale: no decoder, no gradient. */
  forwardCam(images: Tensor): Tensor {
    const [, , cam] = native.wetrForward(
      this.#handle,
      Tensor.handle(images),
      false,
      false,
      true,
      false,
      false,
      false,
    );
    return new Tensor(cam!);
  }

  /** Name to parameter, in PyTorch's order. The tensors are the model's own. */
  parameters(): ReadonlyMap<string, Tensor> {
    return this.#parameters;
  }

  parameterGroups(): ParameterGroups {
    const groups: ParameterGroups = { backbone: [], backboneNorm: [], classifier: [], decoder: [] };
    for (const [name, tensor] of this.#parameters) {
      if (name.startsWith('encoder.'))
        groups[name.includes('norm') ? 'backboneNorm' : 'backbone'].push(tensor);
      else groups[name.startsWith('decoder.') ? 'decoder' : 'classifier'].push(tensor);
    }
    return groups;
  }

  /** The parameters with requiresGrad that these outputs depend on: those that backward() gives a gradient. */
  trainableFor({ cls = false, seg = false, affinity = false }: Wanted): Map<string, Tensor> {
    const reached = ([name, tensor]: [string, Tensor]) => {
      if (!tensor.requiresGrad) return false;
      if (name.startsWith('decoder.')) return seg;
      if (name.startsWith('attn_proj.')) return affinity;
      return name.startsWith('classifier.') ? cls : true;
    };
    return new Map([...this.#parameters].filter(reached));
  }

  /** Parameters and buffers by name, in PyTorch's order. The tensors are the model's own. */
  state(): ReadonlyMap<string, Tensor> {
    return this.#state;
  }

  /** Copies out every entry, for writing. */
  stateDict(): Map<string, RawTensor> {
    return new Map([...this.#state].map(([name, tensor]) => [name, tensor.toRaw()]));
  }

  /**
   * Copies weights in. All or nothing: every name and shape is checked first.
   * @throws StateDictMismatch listing missing, unexpected and mis-shaped names.
   */
  loadStateDict(state: ReadonlyMap<string, RawTensor>, source = 'state dict'): void {
    StateDictMismatch.check(state, this.#state, source);
    const before = native.isGradEnabled();
    native.setGradEnabled(false);
    try {
      for (const [name, own] of this.#state) {
        const theirs = Tensor.fromRaw(state.get(name)!);
        own.copy_(theirs);
        theirs.dispose();
      }
    } finally {
      native.setGradEnabled(before);
    }
  }

  to(device: Device): this {
    native.wetrTo(this.#handle, device);
    return this;
  }

  dispose(): void {
    for (const tensor of [...this.#parameters.values(), ...this.#state.values()]) tensor.dispose();
    native.wetrDispose(this.#handle);
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
