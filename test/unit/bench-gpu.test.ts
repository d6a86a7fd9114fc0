/**
 * The GPU's benchmark without a GPU: kernels by name, shares of a GPU's time, targets. Names of torch's kernels, of cuBLAS,
 * cuDNN and NCCL are those in the libraries of the PyTorch 2.14.1 wheel for CUDA 13.0 (strings, c++filt), some parameters cut
 * short; ours those of `cuobjdump -elf` of the CUDA build.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { compareFigures } from '../../bench/lib/compare.mjs';
import { gpuReport } from '../../bench/lib/gpu-report.mjs';
import { cautions, judge, readOriginal } from '../../bench/lib/gpu-targets.mjs';
import { busyTime, groupOfKernel, kernelShares } from '../../bench/lib/kernels.mjs';
import { shortKernelName } from '../../src/profile/kernel-name.js';

const root = new URL('../../', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'afa-bench-gpu-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GELU =
  'void at::native::vectorized_elementwise_kernel<2, at::native::GeluCUDAKernelImpl(at::TensorIteratorBase&, at::native::GeluType)::{lambda()#2}::operator()() const::{lambda()#2}::operator()() const::{lambda(float)#1}, std::array<char*, 2ul>, false>(int, at::native::GeluCUDAKernelImpl(at::TensorIteratorBase&, at::native::GeluType)::{lambda()#2}::operator()() const::{lambda()#2}::operator()() const::{lambda(float)#1}, std::array<char*, 2ul>)';
const MEAN =
  'void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::MeanOps<float, float, float, float>, unsigned int, float, 4, 4> >(at::native::ReduceOp<float, at::native::MeanOps<float, float, float, float>, unsigned int, float, 4, 4>)';
const ADAM =
  'void at::native::(anonymous namespace)::multi_tensor_apply_kernel<at::native::(anonymous namespace)::FusedOptimizerTensorListMetadata<4>, at::native::(anonymous namespace)::FusedAdamMathFunctor<float, 4, (at::native::ADAM_MODE)1, false>, float const*, double, double, double, double, double, bool, float const*, float const*>(at::native::(anonymous namespace)::FusedOptimizerTensorListMetadata<4>)';
const EQUAL =
  'void at::native::vectorized_elementwise_kernel<4, at::native::BinaryFunctor<float, float, bool, at::native::(anonymous namespace)::CompareEqFunctor<float> >, std::array<char*, 3ul>, false>(int)';
const COPY =
  'void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl<at::native::direct_copy_kernel_cuda(at::TensorIteratorBase&)::{lambda()#3}::operator()() const::{lambda()#7}::operator()() const::{lambda(float)#1}>(at::TensorIteratorBase&)>(int)';
const FLASH =
  'void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4, false, false, cutlass::bfloat16_t, Flash_kernel_traits<64, 128, 128, 4, cutlass::bfloat16_t> >, false, false, false, false, true, true, false, false>(pytorch_flash::Flash_fwd_params)';

describe('a kernel', () => {
  it.each([
    [
      '(anonymous namespace)::roundKernel(afa::cam::cuda::Planes, float const*, float const*, float*, int, int)',
      'PAR',
      'roundKernel',
    ],
    [
      '(anonymous namespace)::labelsKernel(afa::cam::cuda::PairGrid, bool const*, long const*, int, int, int, unsigned char*)',
      'pair labels',
      'labelsKernel',
    ],
    [
      '(anonymous namespace)::gradientsKernel(long, unsigned char const*, float const*, float*)',
      'affinity loss',
      'gradientsKernel',
    ],
    [
      '(anonymous namespace)::walkKernel(afa::cam::cuda::PairGrid, int, float const*, float const*, int, int, float*)',
      'random walk',
      'walkKernel',
    ],
    [
      'void (anonymous namespace)::depthwiseGeluKernel<afa::nn::cuda::BFloat16>(afa::nn::cuda::TokenGrid, afa::nn::cuda::Pack<afa::nn::cuda::BFloat16, 2> const*, float const*, float const*, afa::nn::cuda::Pack<afa::nn::cuda::BFloat16, 2>*)',
      'depthwise with GELU',
      'depthwiseGeluKernel',
    ],
    [
      'void (anonymous namespace)::addNormKernel<16, 1, afa::nn::cuda::BFloat16, float>(afa::nn::cuda::NormCall)',
      'normalisation',
      'addNormKernel',
    ],
    [
      'void (anonymous namespace)::addNormBackwardKernel<32, 4, afa::nn::cuda::BFloat16, float>(afa::nn::cuda::NormBackwardCall)',
      'normalisation',
      'addNormBackwardKernel',
    ],
    [
      'void at::native::(anonymous namespace)::multi_tensor_apply_kernel<at::native::(anonymous namespace)::TensorListMetadata<2>, at::native::(anonymous namespace)::CopyFunctor<c10::BFloat16, float, 2, 1, 1>, at::native::Copy<c10::BFloat16, float> >(at::native::(anonymous namespace)::TensorListMetadata<2>)',
      'copies',
      'multi_tensor_apply_kernel (CopyFunctor)',
    ],
    [
      'nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN',
      'matrix products',
      'nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN',
    ],
    ['ampere_bf16_s16816gemm_bf16_64x128_sliced1x2_ldg8_f2f_stages_64x3_nt', 'matrix products', undefined],
    [
      'void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_drelu_bf16_128x128_64x3_nn_align8>(cutlass_80_tensorop_bf16_s16816gemm_drelu_bf16_128x128_64x3_nn_align8::Params)',
      'matrix products',
      'Kernel2 (cutlass_80_tensorop_bf16_s16816gemm_drelu_bf16_128x128_64x3_nn_align8)',
    ],
    [
      'sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_execute_segment_k_off_kernel__5x_cublas',
      'matrix products',
      undefined,
    ],
    [
      'void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16, float, __nv_bfloat16, false, true, false>(cublasLt::cublasSplitKParams<float>)',
      'matrix products',
      'splitKreduce_kernel',
    ],
    [
      'sm80_xmma_fprop_implicit_gemm_indexed_tf32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize128x64x32_stage5_warpsize2x2x1_g1_tensor16x8x8_execute_kernel__5x_cudnn',
      'convolution',
      undefined,
    ],
    [
      'void cutlass__5x_cudnn::Kernel<cutlass_tensorop_f16_s16816wgrad_optimized_f16_128x64_64x3_nhwc_align8>(cutlass_tensorop_f16_s16816wgrad_optimized_f16_128x64_64x3_nhwc_align8::Params)',
      'convolution',
      'Kernel (cutlass_tensorop_f16_s16816wgrad_optimized_f16_128x64_64x3_nhwc_align8)',
    ],
    [
      'void at::native::(anonymous namespace)::conv_depthwise2d_backward_kernel<3, 1, c10::BFloat16, int>(torch::headeronly::detail::GenericPackedTensorAccessor<c10::BFloat16 const>)',
      'convolution',
      'conv_depthwise2d_backward_kernel',
    ],
    [FLASH, 'attention', 'flash_fwd_kernel'],
    [
      'fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel<cutlass::bfloat16_t, cutlass::arch::Sm80, true, 64, 64, 64, true, true>::Params)',
      'attention',
      'fmha_cutlassF_bf16_aligned_64x64_rf_sm80',
    ],
    [
      'cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_31_64x64x64_4x1x1_cga1x1x1_kernel0_0',
      'attention',
      undefined,
    ],
    [
      'void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float, float, false>(int, float, float const*, float const*, float const*, float*, float*, float*)',
      'normalisation',
      'vectorized_layer_norm_kernel',
    ],
    [
      'void at::native::(anonymous namespace)::GammaBetaBackwardCUDAKernelTemplate<float, float, 32u, 16u, 128u, false, false, false>(long, long, float const*)',
      'normalisation',
      'GammaBetaBackwardCUDAKernelTemplate',
    ],
    [
      'void cudnn::bn_fw_tr_1C11_singleread<__nv_bfloat16, 512, false, 2, 2, 0>(cudnn::bn_fw_tr_1C11_args<__nv_bfloat16>)',
      'normalisation',
      'bn_fw_tr_1C11_singleread',
    ],
    [ADAM, 'optimizer', 'multi_tensor_apply_kernel (FusedAdamMathFunctor)'],
    [
      'void at::native::(anonymous namespace)::upsample_bilinear2d_nhwc_out_frame<float, float, int>(float, float, bool, int, int, int, int, int, float const*, float*, int)',
      'resizing',
      'upsample_bilinear2d_nhwc_out_frame',
    ],
    [COPY, 'copies', 'elementwise_kernel (direct_copy_kernel_cuda)'],
    [
      'void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>, std::array<char*, 1ul>, false>(int, at::native::FillFunctor<float>, std::array<char*, 1ul>)',
      'copies',
      'vectorized_elementwise_kernel (FillFunctor)',
    ],
    [MEAN, 'sums, softmax and losses', 'reduce_kernel (MeanOps)'],
    [
      'void at::native::(anonymous namespace)::nll_loss2d_forward_kernel<float, float, int>(float*, float*, float const*, long const*, float const*, int, int, int, long)',
      'sums, softmax and losses',
      'nll_loss2d_forward_kernel',
    ],
    [GELU, 'pointwise', 'vectorized_elementwise_kernel (GeluCUDAKernelImpl)'],
    [EQUAL, 'pointwise', 'vectorized_elementwise_kernel (CompareEqFunctor)'],
    [
      'ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)',
      'communication',
      'ncclDevKernel_AllReduce_Sum_f32_RING_LL',
    ],
    ['void at::native::index_put_something(int)', 'the rest', 'index_put_something'],
  ])('%s', (name, group, short) => {
    expect(groupOfKernel({ name })).toBe(group);
    expect(shortKernelName(name)).toBe(short ?? name);
  });

  it('of this package has a kind of its own, whatever is added to it', () => {
    const sources = readdirSync(new URL('native/', root), { recursive: true, encoding: 'utf8' });
    const names = sources
      .filter((file) => file.endsWith('.cu'))
      .flatMap((file) => [
        ...readFileSync(new URL(`native/${file}`, root), 'utf8').matchAll(
          /__global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)/g,
        ),
      ])
      .map(([, name]) => name!);
    expect(names.length).toBeGreaterThanOrEqual(9);
    for (const name of names)
      expect([name, groupOfKernel({ name: `(anonymous namespace)::${name}(float const*)` })]).not.toEqual([
        name,
        'the rest',
      ]);
  });

  it('is told from copies and fills, which keep their names', () => {
    const name = 'Memcpy HtoD (Pinned -> Device)';
    expect([groupOfKernel({ name, kind: 'copy' }), shortKernelName(name)]).toEqual(['copies', name]);
    expect(groupOfKernel({ name: 'Memset (Device)', kind: 'fill' })).toBe('copies');
  });
});

const activity = (name: string, start: number, duration: number, stream = 7) => ({
  ...{ name, kind: 'kernel' as const, device: 0 },
  ...{ stream, start, duration },
});

describe('shares of the time', () => {
  it('of a GPU with two streams', () => {
    // 100 us a step busy, of 250: products 0-60 and a copy on another stream 40-80, then 20 us of something else.
    const step = (at: number) => [
      activity('nvjet_a', at, 60),
      { ...activity('Memcpy DtoH (Device -> Pinned)', at + 40, 40, 20), kind: 'copy' as const },
      activity('(anonymous namespace)::walkKernel(int)', at + 100, 20),
    ];
    const found = kernelShares({ activities: [...step(0), ...step(250)], dropped: 0 }, 2, 250e-6);
    expect(found).toMatchObject({ steps: 2, launches: 3 });
    expect(found.busySeconds).toBeCloseTo(100e-6, 12);
    expect(found.idleShare).toBeCloseTo(0.6, 9);
    expect(found.groupShares).toEqual({
      'matrix products': 0.5,
      copies: expect.closeTo(1 / 3, 9),
      'random walk': expect.closeTo(1 / 6, 9),
    });
    expect(found.kernels![0]).toEqual({
      ...{ name: 'nvjet_a', group: 'matrix products', share: 0.5, calls: 1 },
      milliseconds: expect.closeTo(0.06, 9),
    });
    expect(found).not.toHaveProperty('dropped');
  });

  it('without activities are a fault that says why', () => {
    expect(kernelShares({ activities: [], dropped: 0, fault: 'CUPTI is gone' }, 3, 1)).toEqual({
      fault: 'CUPTI is gone',
    });
    expect(kernelShares({ activities: [], dropped: 0 }, 3, 1)).toEqual({ fault: 'nothing was recorded' });
  });

  it('the busy time is that of the union, counted microsecond by microsecond', () => {
    const interval = fc.record({
      start: fc.integer({ min: 0, max: 60 }),
      duration: fc.integer({ min: 0, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(interval), (intervals) => {
        const covered = new Set<number>();
        for (const { start, duration } of intervals)
          for (let t = start; t < start + duration; t++) covered.add(t);
        expect(busyTime(intervals.toSorted((a, b) => a.start - b.start))).toBe(covered.size);
      }),
    );
  });
});

const training = (
  crop: number,
  batch: number,
  imagesPerSecond: number,
  peakGib: number,
  hostShare = 0.1,
) => ({
  ...{ phase: 'affinity', crop, batch, imagesPerSecond, peakGib, hostShare },
  ...{ seconds: batch / imagesPerSecond, shareOfMatrixRate: 0.4, allocatedGib: peakGib },
});
const OURS = {
  trainings: [
    { ...training(224, 8, 9999, 1), phase: 'cls' },
    training(224, 8, 405, 3),
    training(224, 128, 1490, 20, 0.25),
    training(512, 8, 90, 9),
  ],
  exported: [
    { crop: 224, batch: 1, seconds: 0.02, imagesPerSecond: 50 },
    { crop: 224, batch: 8, seconds: 0.01, imagesPerSecond: 100 },
  ],
};
const ORIGINAL = {
  gpu: 'NVIDIA H200',
  trainings: [
    { crop: 224, batch: 8, imagesPerSecond: 40.5, peakGib: 9 },
    { crop: 224, batch: 128, imagesPerSecond: 70, peakGib: 100 },
  ],
  export: { crop: 224, imagesPerSecond: 20 },
};
type Verdict = { name: string; measured: number | null; met: boolean | null };
const targets = (result: object, original?: object) => judge(result as never, original as never) as Verdict[];
const verdicts = (original?: object) =>
  Object.fromEntries(targets(OURS, original).map(({ name, measured, met }) => [name, [measured, met]]));

describe('targets', () => {
  it('with the original’s figures', () => {
    expect(verdicts(ORIGINAL)).toEqual({
      'affinity, crop 224, batch 8: speed': [405, true],
      'affinity, crop 224, batch 8: against the original': [10, true],
      "affinity, crop 224, batch 8: host's share of a step": [0.1, true],
      'affinity, crop 224, batch 128: speed': [1490, false],
      'affinity, crop 224, batch 128: against the original': [expect.closeTo(21.3, 1), true],
      "affinity, crop 224, batch 128: memory, of the original's": [0.2, true],
      "affinity, crop 224, batch 128: host's share of a step": [0.25, false],
      'affinity, crop 512, batch 8: against the original': [null, null],
      "affinity, crop 512, batch 8: host's share of a step": [0.1, true],
      'map export: against the original': [5, false],
    });
  });

  it('without them, and without trainings that found no room', () => {
    const known = targets(OURS).filter(({ met }) => met !== null);
    expect(known.map(({ name }) => name)).toEqual([
      'affinity, crop 224, batch 8: speed',
      "affinity, crop 224, batch 8: host's share of a step",
      'affinity, crop 224, batch 128: speed',
      "affinity, crop 224, batch 128: host's share of a step",
      "affinity, crop 512, batch 8: host's share of a step",
    ]);
    const small = {
      trainings: [{ phase: 'affinity', crop: 224, batch: 128, fault: 'out of memory' }],
      exported: [],
    };
    expect(targets(small, ORIGINAL).every(({ met }) => met === null)).toBe(true);
  });

  it('say what to bear in mind', () => {
    expect(cautions('NVIDIA H200', ORIGINAL)).toEqual([]);
    expect(cautions('NVIDIA A100-SXM4-80GB', ORIGINAL)).toEqual([
      'The targets are for one H200; this is NVIDIA A100-SXM4-80GB.',
      "The original's figures are of NVIDIA H200: its ratios do not count.",
    ]);
    expect(cautions('NVIDIA H200', undefined)[0]).toContain('docs/cuda.md');
  });

  it('in print beside the rest, faults included', () => {
    const record = { activities: [activity(GELU, 0, 5)], dropped: 0 };
    const trainings = [
      { ...training(224, 8, 405, 3), gpuTime: kernelShares(record, 1, 1e-5) },
      { ...training(512, 8, 90, 9), gpuTime: { fault: 'no kernel was recorded: nsys' } },
      {
        phase: 'affinity',
        crop: 224,
        batch: 128,
        fault: 'out of memory',
        gpuTime: { fault: 'out of memory' },
      },
    ];
    const text = gpuReport(
      {
        ...{ gpu: 'NVIDIA H200', limits: { bf16Tflops: 700, copyGbPerSecond: 3900 }, trainings },
        ...{ maps: [], exported: OURS.exported, targets: targets(OURS, ORIGINAL), cautions: ['Mind this.'] },
        par: { seconds: 0.001, images: 128, gbPerSecond: 2000, shareOfBandwidth: 0.5 },
      },
      3,
    );
    expect(text).toMatch(/affinity, crop 224, batch 8 +405 +0\.0198 +40\.0 % +10\.0 % +50\.0 % +3\.00/);
    expect(text).toMatch(/affinity, crop 224, batch 128 +out of memory/);
    expect(text).toContain('affinity, crop 512, batch 8: no kernel was recorded: nsys');
    expect(text).toMatch(
      /vectorized_elementwise_kernel \(GeluCUDAKernelImpl\) +pointwise +100\.0 % +0\.005 +1/,
    );
    expect(text).toMatch(
      /affinity, crop 224, batch 128: speed +at least 1500 images\/s +1490 images\/s +NOT MET/,
    );
    expect(text).toMatch(
      /map export: against the original +at least 10\.0 times +5\.0 times +NOT MET\n\nMind this\.$/,
    );
  });

  it('a comparison takes shares of a limit for better when they are more, and leaves targets out', () => {
    const result = (share: number) => ({
      ...{
        par: { shareOfBandwidth: share },
        targets: [{ measured: share }],
        original: { imagesPerSecond: share },
      },
      trainings: [{ gpuTime: { idleShare: share, groupShares: { PAR: share }, kernels: [{ share }] } }],
    });
    expect(
      compareFigures(result(0.4), result(0.8)).map(
        ({ figure, verdict }: { figure: string; verdict: string }) => [figure, verdict],
      ),
    ).toEqual([
      ['par.shareOfBandwidth', 'better'],
      ['trainings.0.gpuTime.idleShare', 'worse'],
    ]);
  });
});

describe("a file of the original's figures", () => {
  const file = (content: unknown) => {
    const path = join(folder, 'original.json');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('is read', () => {
    expect(readOriginal(file(ORIGINAL), 'original')).toEqual(ORIGINAL);
    const least = { gpu: 'NVIDIA H200', trainings: [], software: 'PyTorch 2.14.1' };
    expect(readOriginal(file(least), 'original')).toEqual(least);
  });

  it.each([
    ['{', /as JSON for --original but received .*original\.json: /],
    [[], /the file: Invalid input: expected object, received array/],
    [
      {},
      /gpu: expected the GPU's name but received nothing\n {2}trainings: expected a list but received nothing/,
    ],
    [
      { gpu: '', trainings: [{ crop: 224.5, batch: -1, imagesPerSecond: '37', peakgib: 3 }], speed: 1 },
      /gpu: expected the GPU's name but received ""\n {2}trainings\.0\.crop: expected a whole number above 0 but received 224\.5\n.*batch: expected a whole number above 0 but received -1\n.*imagesPerSecond: expected a number above 0 but received "37"\n.*peakgib.*\n.*speed/,
    ],
    [
      { ...ORIGINAL, export: { crop: 224, imagesPerSecond: 0 } },
      /export\.imagesPerSecond: expected a number above 0/,
    ],
    [
      { ...ORIGINAL, trainings: [ORIGINAL.trainings[0], ORIGINAL.trainings[0]] },
      /each training once for --original but .* has crop 224, batch 8 twice/,
    ],
  ])('%j is refused in words', (content, message) => {
    expect(() => readOriginal(file(content), 'original')).toThrow(message as RegExp);
  });

  it('that is missing or wrong ends the benchmark with 2, before anything runs', () => {
    const index = fileURLToPath(new URL('bench/index.mjs', root));
    const bench = (...args: string[]) =>
      spawnSync(process.execPath, [index, '--cuda', ...args], { encoding: 'utf8' });
    const { status, stderr } = bench('--original', join(folder, 'none.json'));
    expect(status).toBe(2);
    expect(stderr).toMatch(/Error: Expected the original's figures .*none\.json: ENOENT/);
    expect(bench('--top', '0').stderr).toContain(
      "Expected an integer of 1 or more for --top but received '0'",
    );
  });
});
