import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { mapIntensity } from '../../src/datasets/intensity.js';
import { MedicalSliceDataset } from '../../src/datasets/medical-slices.js';
import { writeNpy } from '../../src/io/npy.js';
import { newFolder } from './slice-folders.js';

describe('mapIntensity', () => {
  it.each([
    ['a window', [-100, 400] as const, [-1000, -100, 150, 400, 3000], [0, 0, 128, 255, 255]],
    ['the extremes', 'minmax' as const, [-4, -2, 0, 4], [0, 64, 128, 255]],
    ['nothing, where a slice is flat', 'minmax' as const, [7, 7, 7], [0, 0, 0]],
    ['nothing, where all is air', 'percentile' as const, [0, 0], [0, 0]],
  ])('stretches by %s', (_, rule, values, bytes) => {
    expect([...mapIntensity(values, rule)]).toEqual(bytes);
  });

  it('by percentiles leaves a hundredth of the non-zero pixels saturated on either side', () => {
    // 1 .. 1000 and as many zeros; numpy.percentile([1 .. 1000], [1, 99], method="nearest") is [11, 990].
    const values = Float32Array.from({ length: 2000 }, (_, i) => Math.max(0, i - 999));
    const bytes = mapIntensity(values, 'percentile');
    expect([bytes[1010], bytes[1500], bytes[1989], bytes[1999]]).toEqual([
      0,
      Math.round((490 / 979) * 255),
      255,
      255,
    ]);
  });

  it('keeps order and the 0..255 range, whatever the values', () => {
    const rule = fc.constantFrom('minmax' as const, 'percentile' as const, [-5, 20] as const);
    const values = fc.array(fc.float({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, rule, (array, how) => {
        const bytes = mapIntensity(array, how);
        const order = array.map((_, i) => i).sort((a, b) => array[a]! - array[b]!);
        for (let k = 1; k < order.length; k++)
          expect(bytes[order[k]!]!).toBeGreaterThanOrEqual(bytes[order[k - 1]!]!);
      }),
    );
  });
});

describe('dataset.intensity', () => {
  it('is applied where a slice is read, without the warning for unscaled values', () => {
    const rootDir = newFolder();
    for (const name of ['P_0_0_0', 'P_1_0_1'])
      writeNpy(`${rootDir}/${name}.npy`, {
        dtype: 'int16',
        shape: [1, 4],
        data: Int16Array.of(-500, 0, 50, 100),
      });
    const warnings: string[] = [];
    const open = (intensity: 'raw' | [number, number]) =>
      new MedicalSliceDataset({
        rootDir,
        split: 'val',
        sliceSplit: [0, 1],
        intensity,
        warn: (_, message) => warnings.push(message),
      }).readImage(0);
    expect(open([0, 100]).data).toEqual(Uint8Array.of(0, 0, 128, 255));
    expect(warnings).toEqual([]);
    expect(open('raw').data).toEqual(Float32Array.of(-500, 0, 50, 100));
    expect(warnings).toEqual([expect.stringContaining('set dataset.intensity to percentile or a window')]);
  });

  it.each(['[5, 5]', '[9, 2]', 'max', '3'])('refuses %s', (value) => {
    expect(() =>
      loadConfig({ file: 'configs/lasc_attn_reg.yaml', set: [`dataset.intensity=${value}`] }),
    ).toThrow(
      /Expected raw, minmax, percentile or a window \[low, high\] with low < high for dataset\.intensity/,
    );
  });
});
