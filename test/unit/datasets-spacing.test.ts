import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { MedicalSliceDataset } from '../../src/datasets/medical-slices.js';
import { writeNpy } from '../../src/io/npy.js';
import { CaseCollector } from '../../src/training/cases.js';
import { newFolder, slice } from './slice-folders.js';

function folder(sidecar?: unknown): string {
  const rootDir = newFolder();
  for (const name of ['LASC_a_0_0', 'LASC_a_1_1', 'LASC_b_0_1'])
    writeNpy(join(rootDir, `${name}.npy`), slice(4, 4, 0));
  if (sidecar !== undefined)
    writeFileSync(
      join(dirname(rootDir), 'dataset.json'),
      typeof sidecar === 'string' ? sidecar : JSON.stringify(sidecar),
    );
  return rootDir;
}
const open = (rootDir: string, spacing?: [number, number]) =>
  new MedicalSliceDataset({ rootDir, split: 'val', sliceSplit: [0, 3], spacing }).spacings;

const SIDECAR = {
  prefix: 'LASC',
  volumes: [{ patient: 'a', spacing_mm: { slice: 3, row: 1.5, column: 0.75 } }],
};

it('is that of the volume which prepare wrote, and unknown for others', () => {
  expect(open(folder(SIDECAR))).toEqual([[1.5, 0.75], [1.5, 0.75], undefined]);
});

it('is one for all where the configuration says so', () => {
  expect(open(folder(SIDECAR), [2, 2])).toEqual([
    [2, 2],
    [2, 2],
    [2, 2],
  ]);
});

it.each([undefined, '{', '[]', { prefix: 'LASC', volumes: [{ patient: 'a' }] }])(
  'is unknown beside %j',
  (sidecar) => {
    expect(open(folder(sidecar))).toEqual([undefined, undefined, undefined]);
  },
);

it('turns distances of a case into millimetres', () => {
  // One pixel of truth, one of prediction, 2 rows and 1 column apart: 5 ** 0.5 pixels, (3 ** 2 + 0.75 ** 2) ** 0.5 mm.
  const truth = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const seg = Float32Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0);
  const collector = new CaseCollector({ names: ['x'], patients: ['p'], spacings: [[1.5, 0.75]] });
  collector.add(
    {
      names: ['x'],
      pixels: { kind: 'floats', data: new Float32Array(36) },
      height: 4,
      width: 3,
      labels: Float32Array.of(1),
      boxes: Int32Array.of(0, 4, 0, 3),
      masks: [{ data: truth, height: 4, width: 3 }],
    },
    Float32Array.of(0.9),
    { seg },
  );
  const measured = collector.cases[0]!.localisation!.seg![0]!;
  expect(measured.hd95![0]).toBeCloseTo(Math.sqrt(5), 12);
  expect(measured.hd95Mm![0]).toBeCloseTo(Math.hypot(3, 0.75), 12);
});
