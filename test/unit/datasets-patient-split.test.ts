import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { MedicalSliceDataset } from '../../src/datasets/medical-slices.js';
import { splitPatients } from '../../src/datasets/patient-split.js';
import { PATIENT_PATTERN, patientsOf } from '../../src/datasets/patients.js';
import { describeSplits, leakage } from '../../src/datasets/split-report.js';
import { writeNpy } from '../../src/io/npy.js';
import { configFor, newFolder, slice } from './slice-folders.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-splits-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SHARES = { train: 0.6, val: 0.2, test: 0.2 };

/** Slices as (patient, positive) pairs from a list of [slices, positives]. */
function slicesOf(patients: readonly (readonly [number, number])[]) {
  const ids: string[] = [];
  const positive: boolean[] = [];
  patients.forEach(([slices, positives], p) => {
    for (let s = 0; s < slices; s++) {
      ids.push(`P_${p}`);
      positive.push(s < positives);
    }
  });
  return { ids, positive };
}

describe('patients', () => {
  it.each([
    ['LASC_007_012_1', 'LASC_007'],
    ['BRATS_001_77_0', 'BRATS_001'],
    ['KITS_case_00012_003_1', 'KITS_case_00012'],
    ['slice7', undefined],
  ])('of %s is %s', (name, patient) => {
    expect(patientsOf([name], PATIENT_PATTERN)).toEqual([patient]);
  });
});

describe('splitPatients', () => {
  const cohort = fc
    .array(
      fc.integer({ min: 1, max: 40 }).chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 0, max: n }))),
      { minLength: 3, maxLength: 60 },
    )
    .map(slicesOf);

  it('gives each patient one split, leaves none empty, and depends on the seed and the set alone', () => {
    fc.assert(
      fc.property(cohort, fc.nat(1000), fc.boolean(), ({ ids, positive }, seed, stratify) => {
        const options = { shares: SHARES, seed, stratify };
        const owner = splitPatients(ids, positive, options);
        expect([...owner.keys()].sort()).toEqual([...new Set(ids)].sort());
        expect(new Set(owner.values())).toEqual(new Set(['train', 'val', 'test']));
        const again = splitPatients(ids.toReversed(), positive.toReversed(), options);
        expect(new Map([...again].sort())).toEqual(new Map([...owner].sort()));
      }),
    );
  });

  it('meets the shares, of slices and of positives, to within the largest patient', () => {
    // 100 patients of 10 to 29 slices, from none to all of them positive.
    const { ids, positive } = slicesOf(
      Array.from({ length: 100 }, (_, p) => [10 + (p % 20), Math.floor(((10 + (p % 20)) * (p % 5)) / 4)]),
    );
    const owner = splitPatients(ids, positive, { shares: SHARES, seed: 3, stratify: true });
    const total = { slices: ids.length, positives: positive.filter(Boolean).length };
    for (const [name, share] of Object.entries(SHARES)) {
      const mine = ids.map((id, i) => [owner.get(id) === name, positive[i]!] as const).filter(([is]) => is);
      expect(Math.abs(mine.length - share * total.slices)).toBeLessThan(29);
      const positives = mine.filter(([, is]) => is).length;
      expect(Math.abs(positives - share * total.positives)).toBeLessThan(29);
    }
  });

  it('makes another split of another seed', () => {
    const { ids, positive } = slicesOf(Array.from({ length: 40 }, () => [10, 5]));
    const split = (seed: number) => splitPatients(ids, positive, { shares: SHARES, seed, stratify: true });
    expect(split(1)).not.toEqual(split(2));
  });

  it('needs a patient for each split', () => {
    const { ids, positive } = slicesOf([
      [5, 1],
      [5, 2],
    ]);
    expect(() => splitPatients(ids, positive, { shares: SHARES, seed: 1, stratify: true })).toThrow(
      'Expected at least one patient for each split (train, val, test) but received 2 in all. Add patients, or ' +
        'set the share of a split in dataset.split to 0.',
    );
  });
});

/** A folder of 6 patients with 4 slices each, labels 0, 1, 0, 1. */
function cohortFolder(): string {
  const root = newFolder();
  for (let p = 0; p < 6; p++)
    for (let s = 0; s < 4; s++) writeNpy(join(root, `LASC_${p}_${s}_${s % 2}.npy`), slice(32, 32, 0));
  return root;
}

const open = (rootDir: string, split: string, settings: Record<string, unknown>) => {
  const { dataset } = configFor(rootDir, settings);
  return new MedicalSliceDataset({
    rootDir,
    split,
    sliceSplit: dataset.slice_split!,
    splitRules: dataset.split,
    patientPattern: dataset.patient_pattern,
  });
};

function jsonFile(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('a dataset', () => {
  it('split by patient has no patient on both sides and loses no slice', () => {
    const root = cohortFolder();
    const settings = { 'dataset.split.by': 'patient' };
    const [train, val] = ['train', 'val'].map((split) => open(root, split, settings));
    expect(leakage(describeSplits(train!, val!))).toBeUndefined();
    expect([...train!.names, ...val!.names].sort()).toHaveLength(24);
    expect(new Set(val!.patients).size).toBe(1);
  });

  it('split by index says whose slices are cut apart', () => {
    const root = cohortFolder();
    const [train, val] = ['train', 'val'].map((split) =>
      open(root, split, { 'dataset.slice_split': [0, 6] }),
    );
    const report = describeSplits(train!, val!);
    expect(report).toMatchObject({
      train: { samples: 18, positives: 9, patients: 5 },
      val: { samples: 6, positives: 3, patients: 2 },
      shared: ['LASC_1'],
    });
    // printf '%s\n' LASC_0_{0_0,1_1,2_0,3_1} LASC_1_{0_0,1_1} | sha256sum
    expect(report.val.sha256).toBe('b8cde7d691735302b7f37ef551b6cb2f60f52733973b58ec1a5531d33f65b1b7');
    expect(leakage(report)).toMatch(/^One patient is in training and in validation: LASC_1\. /);
  });

  it('split by a file takes slices, with or without extension, and whole patients', () => {
    const root = cohortFolder();
    const file = jsonFile('good.json', { train: ['LASC_0', 'LASC_1_0_0.npy'], val: ['LASC_5_3_1'] });
    const settings = { 'dataset.split.file': file };
    expect(open(root, 'train', settings).names).toEqual([
      'LASC_0_0_0',
      'LASC_0_1_1',
      'LASC_0_2_0',
      'LASC_0_3_1',
      'LASC_1_0_0',
    ]);
    expect(open(root, 'val', settings).names).toEqual(['LASC_5_3_1']);
  });

  it.each([
    ['names nobody', { train: ['LASC_9', 'x'], val: [] }, /2 of them belong to no slice .*: LASC_9, x\./],
    [
      'has a slice twice',
      { train: ['LASC_0'], val: ['LASC_0_1_1'] },
      /LASC_0_1_1 is in 'train' and in 'val'/,
    ],
    ['has no such split', { train: ['LASC_0'] }, /one of train \(the splits of .*received string 'val'/],
    ['leaves the split empty', { train: ['LASC_0'], val: [] }, /at least one slice in split 'val'/],
    ['has another form', [['LASC_0']], /Expected \{"train".* but received an array/],
    ['is no JSON', '{', /cannot read .*bad\.json/],
  ])('refuses a file that %s', (_, content, message) => {
    const root = cohortFolder();
    const file = jsonFile('bad.json', content);
    expect(() => open(root, 'val', { 'dataset.split.file': file })).toThrow(message);
  });

  it('by patient needs names that tell the patient', () => {
    const root = cohortFolder();
    writeNpy(join(root, 'stray_1.npy'), slice(32, 32, 0));
    expect(() => open(root, 'val', { 'dataset.split.by': 'patient' })).toThrow(
      /but 1 of 25 names have none, the first is stray_1\. Set dataset\.patient_pattern/,
    );
    const own = { 'dataset.split.by': 'patient', 'dataset.patient_pattern': '^([A-Za-z]+(?:_[0-9])?)_' };
    expect(open(root, 'train', own).patients).toContain('LASC_3');
  });
});

describe('the configuration', () => {
  const fault = (...set: string[]) => {
    try {
      loadConfig({ file: 'configs/lasc_attn_reg.yaml', set });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('Expected a fault');
  };

  it('is strict for every form but the index', () => {
    const strict = (settings: Record<string, unknown>) => configFor('x', settings).dataset.strict_split;
    expect(strict({})).toBe(false);
    expect(strict({ 'dataset.split.by': 'patient' })).toBe(true);
    expect(strict({ 'dataset.split.file': 's.json' })).toBe(true);
    expect(strict({ 'dataset.split.by': 'patient', 'dataset.strict_split': false })).toBe(false);
  });

  it('wants shares that add up, a file where one is meant, and a pattern with a group', () => {
    expect(fault('dataset.split.by=patient', 'dataset.split.test=0.2')).toMatch(
      /shares train, val and test that add up to 1 for dataset\.split but received an array of 3 \(\[0\.8, 0\.2, 0\.2\]\)/,
    );
    expect(fault('dataset.split.by=file')).toMatch(/a JSON file in dataset\.split\.file .* received nothing/);
    expect(fault('dataset.split.by=patient', 'dataset.split.file=a.json')).toMatch(/no dataset\.split\.file/);
    expect(fault('dataset.patient_pattern=LASC_[0-9]+')).toMatch(/a regular expression with one group/);
    expect(fault('dataset.patient_pattern=(')).toMatch(/a regular expression with one group/);
  });
});
