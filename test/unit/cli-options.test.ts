import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  EVALUATE_CONFIG_OPTIONS,
  evaluateCommand,
  readEvaluateArguments,
} from '../../src/cli/evaluate-options.js';
import {
  GEN_ATTN_CONFIG_OPTIONS,
  genAttnCommand,
  readGenAttnArguments,
} from '../../src/cli/gen-attn-options.js';
import { readReportArguments } from '../../src/cli/report-options.js';
import { describeFailure } from '../../src/cli/run-main.js';
import { readTrainArguments, TRAIN_CONFIG_OPTIONS, trainCommand } from '../../src/cli/train-options.js';
import { fieldAt, isSection } from '../../src/config/keys.js';
import { loadConfig } from '../../src/config/load.js';

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');
const train = (line: string) => readTrainArguments(words(line));
const genAttn = (line: string) => readGenAttnArguments(words(line));
const evaluate = (line: string) => readEvaluateArguments(words(line));

/** What people read when reading the arguments fails. */
function refusal(read: () => unknown): { code: number; text: string } {
  try {
    read();
  } catch (error) {
    return describeFailure(error, false);
  }
  throw new Error('the arguments were taken');
}

/** What commands that work in several processes have when nobody says anything. */
const ALONE = { nproc_per_node: 1, master_port: 29520, timeout: 600 };

describe('train arguments', () => {
  it('are all read', () => {
    const line =
      '--config c.yaml --dataset lasc --pooling gap --crop_size 96 --work_dir out --backend gloo --cuda --radius 5 ' +
      '--seg_detach --high_thre 0.6 --low_thre .3 --nproc_per_node 4 --master_port 29500 --timeout 30 --resume x.pth --seed 7 ' +
      '--threads 2 --deterministic --profile t.json --set train.log_iters=5 --set cam.mode=train --verbose';
    expect(train(line)).toEqual({
      config: {
        file: 'c.yaml',
        dataset: 'lasc',
        set: ['train.log_iters=5', 'cam.mode=train'],
        flags: [
          { key: 'backbone.pooling', flag: '--pooling', value: 'gap' },
          { key: 'dataset.crop_size', flag: '--crop_size', value: 96 },
          { key: 'work_dir.dir', flag: '--work_dir', value: 'out' },
          { key: 'train.radius', flag: '--radius', value: 5 },
          { key: 'train.seg_detach', flag: '--seg_detach', value: true },
          { key: 'cam.high_thre', flag: '--high_thre', value: 0.6 },
          { key: 'cam.low_thre', flag: '--low_thre', value: 0.3 },
          { key: 'train.deterministic', flag: '--deterministic', value: true },
          { key: 'train.seed', flag: '--seed', value: 7 },
        ],
      },
      device: 'cuda',
      nproc_per_node: 4,
      backend: 'gloo',
      master_port: 29500,
      timeout: 30,
      resume: 'x.pth',
      threads: 2,
      profile: 't.json',
      verbose: true,
    });
  });

  it('that are absent set nothing', () => {
    expect(train('')).toEqual({
      config: { flags: [] },
      ...ALONE,
      verbose: false,
    });
  });

  it('take the same flags in kebab-case, also with =', () => {
    expect(train('--crop-size=96 --work-dir out --seg-detach --nproc-per-node 1')).toEqual(
      train('--crop_size 96 --work_dir out --seg_detach --nproc_per_node 1'),
    );
  });

  it('--resume alone means the last checkpoint', () => {
    expect(train('--resume --cpu')).toMatchObject({ resume: true, device: 'cpu' });
  });

  it('override the file and are named in its faults', () => {
    const { config } = loadConfig(train('--dataset lasc --crop_size 96 --set train.max_iters=2000').config);
    expect(config.dataset.crop_size).toBe(96);
    expect(config.train).toMatchObject({ max_iters: 2000, samples_per_gpu: 4 });
    expect(
      refusal(() => loadConfig(train('--dataset lasc --crop_size wide --pooling max').config)).text,
    ).toBe(
      'Error: The configuration has 2 faults:\n' +
        "  --pooling: Expected gmp or gap for backbone.pooling but received string 'max'.\n" +
        "  --crop_size: Expected an integer of at least 64 for dataset.crop_size but received string 'wide'.",
    );
  });

  it.each([
    ['--crop-sise 3', "Unknown option '--crop-sise'. Did you mean --crop_size? See --help."],
    ['--cpu --cuda', "Option '--cpu' cannot be used with option '--cuda'. See --help."],
    ['--timeout 0', "Expected an integer from 1 to 86400 for --timeout but received string '0'."],
    [
      '--nproc_per_node auto',
      "Expected an integer from 1 to 1024 for --nproc_per_node but received string 'auto'.",
    ],
    ['--threads 1.5', "Expected an integer from 1 to 1024 for --threads but received string '1.5'."],
    ['--master_port 0', "Expected an integer from 1 to 65535 for --master_port but received string '0'."],
    ['--backend mpi', "Expected gloo or nccl for --backend but received string 'mpi'."],
    ['lasc', 'Too many arguments. Expected 0 arguments but got 1. See --help.'],
    ['--crop_size', "Option '--crop_size <pixels>' argument missing. See --help."],
  ])('%s is refused with code 2', (line, message) => {
    expect(refusal(() => train(line))).toEqual({ code: 2, text: `Error: ${message}` });
  });
});

describe('gen-attn arguments', () => {
  it('are all read', () => {
    const line =
      '--config c.yaml --dataset lasc --use_final --output_dir o --cam_npy_dir c --scales 1.0 0.5 1.5 --save_attn ' +
      '--attn_npy_dir a --device mps --split test --batch_size 2 --pooling gap --set val.cam=false --overwrite --work_dir w';
    expect(genAttn(line)).toEqual({
      config: {
        file: 'c.yaml',
        dataset: 'lasc',
        set: ['val.cam=false'],
        flags: [
          { key: 'cam.scales', flag: '--scales', value: [1, 0.5, 1.5] },
          { key: 'val.split', flag: '--split', value: 'test' },
          { key: 'val.batch_size', flag: '--batch_size', value: 2 },
          { key: 'backbone.pooling', flag: '--pooling', value: 'gap' },
          { key: 'work_dir.dir', flag: '--work_dir', value: 'w' },
        ],
      },
      use_final: true,
      output_dir: 'o',
      cam_npy_dir: 'c',
      save_attn: true,
      attn_npy_dir: 'a',
      device: 'mps',
      overwrite: true,
      ...ALONE,
      verbose: false,
    });
    expect(genAttn('--checkpoint x.pth').checkpoint).toBe('x.pth');
  });

  it.each([
    [
      '--checkpoint x.pth --use_final',
      "Option '--checkpoint <file>' cannot be used with option '--use_final'. See --help.",
    ],
    ['--attn_npy_dir a', 'Expected --save_attn beside --attn_npy_dir but did not receive it.'],
    ['--device tpu', "Expected cpu, cuda or mps for --device but received string 'tpu'."],
  ])('%s is refused with code 2', (line, message) => {
    expect(refusal(() => genAttn(line))).toEqual({ code: 2, text: `Error: ${message}` });
  });
});

describe('evaluate arguments', () => {
  it('are all read', () => {
    const line =
      '--dataset voc --split test --scales 1 0.75 --flip --long_side 640 --crf --cam --pooling gap --work_dir w ' +
      '--checkpoint x.pth --output_dir o --json --device cuda';
    expect(evaluate(line)).toEqual({
      config: {
        dataset: 'voc',
        flags: [
          { key: 'val.split', flag: '--split', value: 'test' },
          { key: 'test.scales', flag: '--scales', value: [1, 0.75] },
          { key: 'test.flip', flag: '--flip', value: true },
          { key: 'test.long_side', flag: '--long_side', value: 640 },
          { key: 'test.crf', flag: '--crf', value: true },
          { key: 'test.cam', flag: '--cam', value: true },
          { key: 'backbone.pooling', flag: '--pooling', value: 'gap' },
          { key: 'work_dir.dir', flag: '--work_dir', value: 'w' },
        ],
      },
      checkpoint: 'x.pth',
      output_dir: 'o',
      overwrite: false,
      device: 'cuda',
      json: true,
      ...ALONE,
      verbose: false,
    });
  });

  it('that are absent set nothing; a negation is read with a hyphen and without', () => {
    const rest = { overwrite: false, json: false, verbose: false };
    expect(evaluate('')).toEqual({ config: { flags: [] }, ...ALONE, ...rest });
    expect(evaluate('--overwrite')).toMatchObject({ overwrite: true });
    for (const flag of ['--no-flip', '--no_flip'])
      expect(evaluate(flag).config.flags).toEqual([{ key: 'test.flip', flag: '--flip', value: false }]);
  });

  it.each([
    ['--device tpu', "Expected cpu, cuda or mps for --device but received string 'tpu'."],
    ['--no_crf', "Unknown option '--no_crf'. Did you mean --crf? See --help."],
    ['--scales', "Option '--scales <factors...>' argument missing. See --help."],
  ])('%s is refused with code 2', (line, message) => {
    expect(refusal(() => evaluate(line))).toEqual({ code: 2, text: `Error: ${message}` });
  });

  it('the images are resized to 512 for VOC and COCO alone', () => {
    const file = 'configs/lasc_attn_reg.yaml';
    const longSide = (name: string) => {
      const set = [`dataset.name=${name}`, 'dataset.name_list_dir=lists'];
      return loadConfig({ file, set, flags: [] }).config.test.long_side;
    };
    expect(['voc', 'coco', 'lasc'].map(longSide)).toEqual([512, 512, 0]);
  });
});

describe('every command', () => {
  it.each([trainCommand, genAttnCommand, evaluateCommand])(
    'helps with examples that it accepts itself',
    (make) => {
      const command = make();
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) });
      try {
        command.parse(['--help'], { from: 'user' });
      } catch (error) {
        expect(error).toBeInstanceOf(CommanderError);
        expect(describeFailure(error, false)).toEqual({ code: 0, text: '' });
      }
      const examples = help.split('\n').filter((line) => line.startsWith(`  ${command.name()} `));
      expect(examples.length).toBeGreaterThanOrEqual(3);
      for (const example of examples) {
        const argv = words(example.slice(command.name().length + 2));
        expect(() => make().parse(argv, { from: 'user' })).not.toThrow();
      }
    },
  );

  it('maps flags to keys that exist', () => {
    for (const { key } of [...TRAIN_CONFIG_OPTIONS, ...GEN_ATTN_CONFIG_OPTIONS, ...EVALUATE_CONFIG_OPTIONS]) {
      expect([key, fieldAt(key) !== undefined && !isSection(key)]).toEqual([key, true]);
    }
  });
});

describe('where a command computes', () => {
  const report = (line: string) => readReportArguments(words(line));
  it.each([
    ['train', train],
    ['gen-attn', genAttn],
    ['evaluate', evaluate],
    ['report', report],
  ] as const)('%s takes --cpu, --cuda and --mps as well as --device, and one of them alone', (_, read) => {
    for (const name of ['cpu', 'cuda', 'mps']) {
      expect(read(`--${name}`).device).toBe(name);
      expect(read(`--device ${name}`).device).toBe(name);
    }
    expect(read('').device).toBeUndefined();
    expect(refusal(() => read('--device cuda --cpu'))).toEqual({
      code: 2,
      text: "Error: Option '--cpu' cannot be used with option '--device <cpu|cuda|mps>'. See --help.",
    });
  });
});

describe('how a command computes', () => {
  it.each([
    ['train', train],
    ['gen-attn', genAttn],
    ['evaluate', evaluate],
  ] as const)('%s takes threads, a profile with or without a file, and determinism', (_, read) => {
    expect(read('--threads 3 --profile')).toMatchObject({ threads: 3, profile: true });
    expect(read('--profile traces/a.json')).toMatchObject({ profile: 'traces/a.json' });
    expect(read('--deterministic').config.flags).toEqual([
      { key: 'train.deterministic', flag: '--deterministic', value: true },
    ]);
    expect(refusal(() => read('--threads 0'))).toEqual({
      code: 2,
      text: "Error: Expected an integer from 1 to 1024 for --threads but received string '0'.",
    });
  });

  it('report takes threads', () => {
    expect(readReportArguments(words('--split test --threads 3')).threads).toBe(3);
  });
});
