import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { loadConfig } from '../../src/config/load.js';
import { workDirPaths } from '../../src/config/work-dir.js';
import { MINIMAL, ORIGINAL_MEDICAL, originalNatural, yamlFile } from './config-fixtures.js';

const load = (text: string, more = {}) => loadConfig({ file: yamlFile(text), ...more });

describe("the original's YAML files", () => {
  it('load unchanged, with numbers as numbers', () => {
    const { config, notes } = load(ORIGINAL_MEDICAL);
    expect(config.optimizer).toEqual({
      type: 'AdamW',
      learning_rate: 0.00006,
      betas: [0.9, 0.999],
      weight_decay: 0.01,
    });
    expect(config.scheduler).toEqual({ warmup_iter: 1500, warmup_ratio: 0.000001, power: 1 });
    expect(config.dataset).toMatchObject({
      name: 'kits',
      slice_split: [30, 60],
      masks_dir: 'data/KITS/masks',
    });
    expect(config.cam).toMatchObject({ aff_thre: 0.4, scales: [1, 0.5, 1.5], mode: 'eval' });
    expect(notes).toEqual([
      "dataset.name is not set: taken to be 'kits' from dataset.root_dir 'data/KITS/imageSlice'",
    ]);
  });

  // Root folders as in the original's five files; switch, source and PAR rounds as in its dist_train_*.py.
  it.each([
    ['data/LASC/imageSlice', 'lasc', 10185, 'refined_aff_label', 10],
    ['data/BRATS/imageSlice', 'brats', 10185, 'refined_aff_label', 10],
    ['../VOCdevkit/VOC2012', 'voc', 6000, 'refined_pseudo_label', 10],
    ['data/MSCOCO', 'coco', 15000, 'refined_aff_label', 15],
  ])('%s is %s, with its defaults', (rootDir, name, switchIter, source, rounds) => {
    const { config } = load(originalNatural(rootDir, 21));
    expect(config.dataset.name).toBe(name);
    expect(config.train.aff_label_switch_iter).toBe(switchIter);
    expect(config.train.aff_label_source).toBe(source);
    expect(config.cam.par).toEqual({ num_iter: rounds, dilations: [1, 2, 4, 8, 12, 24] });
    expect(config.train.num_workers).toBe(4);
  });
});

describe('shipped configurations', () => {
  // Values and paths of the user's document.
  it.each([
    ['lasc', [4400, 4884], 'data/LASC/imageSlice'],
    ['brats', [15500, 27435], 'data/BraTS/imageSlice'],
  ])('%s', (dataset, split, rootDir) => {
    const { config, file, notes } = loadConfig({ dataset });
    expect(config.train).toMatchObject({
      max_iters: 10000,
      cam_iters: 1000,
      eval_iters: 1000,
      samples_per_gpu: 4,
      aff_label_switch_iter: 5000,
    });
    expect(config.dataset).toMatchObject({
      name: dataset,
      slice_split: split,
      root_dir: rootDir,
      num_classes: 2,
    });
    expect(config.work_dir.dir).toBe(`work_dir_${dataset}`);
    expect(notes).toEqual([`Reading ${file}`]);
  });

  it('demo names the dataset whose file form it has', () => {
    const { config, sources } = loadConfig({ dataset: 'demo', datasets: ['lasc', 'brats'] });
    expect(config.dataset.name).toBe('lasc');
    expect(config.backbone).toMatchObject({ config: 'mit_b0', pretrained: 'none' });
    expect(sources['dataset.name']).toMatch(/demo_attn_reg\.yaml:\d+$/);
  });

  it('are found from any folder, a local configs/ first', () => {
    const here = process.cwd();
    try {
      process.chdir('/');
      expect(existsSync(loadConfig({ dataset: 'lasc' }).file)).toBe(true);
    } finally {
      process.chdir(here);
    }
    expect(loadConfig({ dataset: 'lasc' }).file).toBe('configs/lasc_attn_reg.yaml');
  });
});

describe('a loaded configuration', () => {
  it('is complete from few keys', () => {
    const { config } = load(MINIMAL);
    expect(config.train).toMatchObject({ seed: 1, radius: 8, seg_detach: false, drop_path: 0.1 });
    expect(config.train.loss_weights).toEqual({ cls: 1, seg: 0.1, aff: 0.1 });
    expect(config.backbone.pretrained_path).toBe('pretrained/mit_b0.pth');
    expect(config.work_dir.dir).toBe('work_dir_lasc');
    expect(config.val).toEqual({
      split: 'val',
      batch_size: 1,
      cam: true,
      aff: true,
      negative_maps: true,
      patient_top_k: 1,
    });
  });

  it('reads an empty section and a byte order mark', () => {
    expect(load(`\uFEFF${MINIMAL}val:\n`).config.val.split).toBe('val');
  });

  it('is frozen to the leaves', () => {
    const { config } = load(MINIMAL);
    expect(Object.isFrozen(config.cam.scales)).toBe(true);
    expect(() => {
      (config.train as { radius: number }).radius = 3;
    }).toThrow(TypeError);
  });

  it('leaves sections that share a YAML anchor apart', () => {
    const text = MINIMAL.replace('train:', 'work_dir: &folders {dir: here}\ntrain:');
    expect(load(text, { set: ['work_dir.dir=there'] }).config.work_dir.dir).toBe('there');
  });

  it('infers the longest dataset name in the path, the registered ones too', () => {
    const text = MINIMAL.replace('data/LASC', 'data/lasc-atria');
    expect(load(text).config.dataset.name).toBe('lasc');
    expect(load(text, { datasets: ['lasc', 'atria', 'lasc-atria'] }).config.dataset.name).toBe('lasc-atria');
  });

  it('lays out the work directory', () => {
    const paths = workDirPaths(load(MINIMAL, { set: ['work_dir.dir=out'] }).config);
    expect(paths.best).toBe('out/checkpoints/best.pth');
    expect(paths.iteration(200)).toBe('out/checkpoints/wetr_iter_200.pth');
    expect(paths.log('20250101')).toBe('out/20250101.log');
  });
});

describe('a missing configuration', () => {
  const failure = (request: Parameters<typeof loadConfig>[0]): unknown => {
    try {
      return loadConfig(request);
    } catch (error) {
      return error;
    }
  };

  it.each([
    [{}, 'Expected --config FILE or --dataset NAME but received neither.'],
    [
      { dataset: 'lacs' },
      "Expected a dataset with a configuration (brats, demo, lasc) for --dataset but received string 'lacs'. Did you mean 'lasc'?",
    ],
    [
      { dataset: 'retina' },
      "Expected a dataset with a configuration (brats, demo, lasc) for --dataset but received string 'retina'. " +
        'Write configs/retina_attn_reg.yaml, or name a file with --config.',
    ],
    [
      { file: '/no/such.yaml' },
      "Expected a YAML file for --config but cannot read '/no/such.yaml': there is no such file.",
    ],
    [{ file: '/' }, "Expected a YAML file for --config but cannot read '/': it is a folder."],
  ])('%o', (request, message) => {
    const error = failure(request);
    expect(error).toBeInstanceOf(UsageError);
    // The list grows with configs/; only its beginning and end are held here.
    const list = /\(brats.*lasc.*?\)/;
    expect((error as Error).message.replace(list, '(brats, demo, lasc)')).toBe(message);
  });

  it('does not let a dataset name leave the folder', () => {
    expect(failure({ dataset: '../configs/lasc' })).toBeInstanceOf(UsageError);
  });
});
