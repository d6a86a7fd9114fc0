/** One training from command line to maps: every file of the work directory, and that they agree. */
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { readStateDict } from '../../src/io/checkpoint.js';
import { type NpyArray, readNpy } from '../../src/io/npy.js';
import { readNpyDict } from '../../src/io/npy-dict.js';
import { WeTr } from '../../src/models/wetr.js';
import { noGrad, scope, Tensor } from '../../src/tensor/index.js';
import reference from '../fixtures/model/local_b0_192.json' with { type: 'json' };
import { findPython, runPython } from '../oracles/python.js';
import { type Ended, TINY, Workplace } from './workplace.js';

/** Slices 0 to 5 of the phantom with seed 3, of which one is negative. */
const NAMES = [0, 1, 2, 3, 4, 5].map((i) => `LASC_000_0${i}_${i === 1 ? 0 : 1}`);
const THRESHOLDS = Array.from({ length: 19 }, (_, i) => ((i + 1) / 20).toFixed(2));

const place = new Workplace().phantom();
let run: Ended;
beforeAll(async () => {
  // Log lines carry the mean of three steps: 3 and 6, but no line for the last two steps.
  run = await place.train('--config', place.config({ 'train.log_iters': 3 }), '--seed', '7');
});

const exported = (name: string) => {
  const dict = readNpyDict(place.path('work', 'cam_npy', `${name}.npy`));
  return {
    keys: [...dict.keys()],
    cam: dict.get('cam') as NpyArray,
    raw: dict.get('cam_raw') as NpyArray,
    label: dict.get('cls_label') as NpyArray,
    score: dict.get('pred_score') as number,
  };
};
const positives = NAMES.filter((name) => name.endsWith('_1'));
const maskOf = (name: string) => readNpy(place.path('data', 'masks', `${name}.npy`)).data as Uint8Array;
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('a run', () => {
  it('ends with 0, a table and paths on standard output, and all else on standard error', () => {
    expect(run.stderr).not.toMatch(/ERROR|Error:|at .*\.js:/);
    expect(run).toMatchObject({ code: 0, signal: null });
    for (const row of [
      'slice AUROC',
      'accuracy',
      'F1',
      'pointing game',
      'CAM Dice, best',
      'segmentation Dice',
    ])
      expect(run.stdout).toMatch(new RegExp(`^${row}.* [01]\\.\\d{3}(  .*)?$`, 'm'));
    for (const file of ['checkpoints/best.pth', 'attention_maps', 'cam_npy', 'summary.json', 'metrics.jsonl'])
      expect(run.stdout).toMatch(new RegExp(`work/${file}$`, 'm'));
    expect(run.stdout).not.toContain('INFO');
    expect(run.stderr).toMatch(/Iter: 1; phase: classification only/);
    expect(run.stderr).toMatch(/Iter: 4; phase: CAM labels/);
    expect(run.stderr).toMatch(/Iter: 6; phase: affinity labels/);
    expect(run.stderr).toMatch(/Iter: 6; Elapsed: 0:00:\d\d; ETA: 0:00:\d\d; LR: \d\.\d+e-\d; cls_loss: \d/);
  });

  it('leaves the files of the contract and no others', () => {
    const checkpoints = ['best', 'last', 'wetr_iter_4', 'wetr_iter_8'].map(
      (name) => `checkpoints/${name}.pth`,
    );
    const arrays = ['.export.json', ...NAMES.map((name) => `${name}.npy`)].map((name) => `cam_npy/${name}`);
    const maps = NAMES.map((name) => `attention_maps/${name}_${exported(name).score.toFixed(3)}.png`);
    // Event files carry time, host and process in their names: tensorboard.test.ts looks into them.
    const files = place.files('work').filter((name) => !/\.log$|^tb_logger\//.test(name));
    const rest = [
      'checkpoints/best_cases.json',
      'config.yaml',
      'metrics.jsonl',
      'report.html',
      'summary.json',
    ];
    expect(files).toEqual([...maps, ...arrays, ...checkpoints, ...rest].sort());
  });

  it('logs to {timestamp}.log what it says on standard error', () => {
    const logs = place.files('work').filter((name) => name.endsWith('.log'));
    expect(logs).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d-\d\d-\d\d\.log$/)]);
    expect(place.read('work', logs[0]!).toString()).toBe(run.stderr);
    // The lines' own clock is local time; the file's name must not be from another time zone.
    expect(run.stderr.slice(0, 16).replace(' ', '-').replace(':', '-')).toBe(logs[0]!.slice(0, 16));
  });

  it('keeps the resolved configuration with its sources, which reads back as the same', async () => {
    const text = place.read('work', 'config.yaml').toString();
    expect(text).toMatch(/^ {2}seed: 7 {2}# --seed$/m);
    expect(text).toMatch(/^ {2}max_iters: 8 {2}# tiny\.yaml:\d+$/m);
    expect(text).toMatch(/^ {2}radius: 8 {2}# default$/m);
    expect(text).toMatch(/^ {2}masks_dir: data\/masks {2}# default$/m);
  });

  it('writes one line to metrics.jsonl for each logged iteration and each validation', () => {
    const lines = place.metrics();
    const kinds = lines.map(({ kind, iteration, phase }) => [kind, iteration, phase]);
    expect(kinds).toEqual([
      ['train', 3, 'cls'],
      ['validation', 4, undefined],
      ['train', 6, 'affinity'],
      ['validation', 8, undefined],
    ]);
    const [first, , third] = lines;
    expect(first).toMatchObject({ segLoss: 0, affLoss: 0, loss: first!.clsLoss });
    for (const key of ['loss', 'segLoss', 'affLoss', 'posCount', 'negCount', 'lr'])
      expect(third![key], key).toBeGreaterThan(0);
  });
});

describe('summary.json', () => {
  const summary = () => place.json('work', 'summary.json');

  it('says how the scores came about', () => {
    expect(summary()).toMatchObject({
      dataset: 'lasc',
      backbone: 'mit_b0',
      images: 6,
      iterations: 8,
      seed: 7,
      device: 'cpu',
      threads: 1,
      skippedSteps: 0,
      reasons: {},
      versions: {
        'medical-afa': expect.any(String),
        node: process.versions.node,
        libtorch: expect.any(String),
      },
    });
    expect(summary().seconds).toBeGreaterThan(0);
    // Of iterations that take milliseconds, the first of which waits for workers to start.
    expect(summary().dataWait).toBeGreaterThan(0);
    expect(summary().dataWait).toBeLessThan(1);
    for (const { kind, dataWait } of place.rawMetrics())
      if (kind === 'train') expect(dataWait).toSatisfy((share: number) => share >= 0 && share < 1);
    expect([4, 8]).toContain(summary().bestIteration);
  });

  it('holds the scores of the validation that best.pth is from', () => {
    const { bestIteration, camDice, auroc, loss } = summary();
    const line = place.metrics().find((l) => l.kind === 'validation' && l.iteration === bestIteration);
    expect({ camDice, auroc, loss }).toEqual({
      camDice: line!.camDice,
      auroc: line!.auroc,
      loss: line!.loss,
    });
    const [best, same] = ['best', `wetr_iter_${bestIteration}`].map((n) =>
      place.read('work', 'checkpoints', `${n}.pth`),
    );
    expect(best!.equals(same!)).toBe(true);
  });

  // The exported arrays come from best.pth as well: each score follows from them by its definition.
  it('agrees with the exported maps: CAM Dice at each threshold, pointing game', () => {
    const { camDice, pointingGame, camDiceBest } = summary() as {
      camDice: Record<string, number>;
      pointingGame: number;
      camDiceBest: { threshold: string; dice: number };
    };
    expect(Object.keys(camDice)).toEqual(THRESHOLDS);
    for (const key of THRESHOLDS) {
      const threshold = Math.fround(Number(key));
      const dices = positives.map((name) => {
        const [cam, mask] = [exported(name).raw.data as Float32Array, maskOf(name)];
        const over = cam.filter((value) => value > threshold).length;
        const both = cam.filter((value, i) => value > threshold && mask[i] === 1).length;
        return (2 * both) / (over + mask.filter((value) => value === 1).length);
      });
      expect(camDice[key], key).toBeCloseTo(mean(dices), 6);
    }
    expect(camDiceBest.dice).toBe(Math.max(...Object.values(camDice)));
    expect(camDice[camDiceBest.threshold]).toBe(camDiceBest.dice);
    const hits = positives.map((name) => {
      const cam = exported(name).raw.data as Float32Array;
      return maskOf(name)[cam.indexOf(Math.max(...cam))] === 1 ? 1 : 0;
    });
    expect(pointingGame).toBeCloseTo(mean(hits), 6);
  });

  it('agrees with the exported scores: AUROC, accuracy, F1', () => {
    const { auroc, accuracy, f1 } = summary();
    const scores = (sign: number) =>
      NAMES.filter((name) => name.endsWith(`_${sign}`)).map((name) => exported(name).score);
    const [negative, positive] = [scores(0), scores(1)];
    const wins = positive.flatMap((p) => negative.map((n) => (p > n ? 1 : p === n ? 0.5 : 0)));
    expect(auroc).toBeCloseTo(mean(wins), 6);
    const truePositives = positive.filter((score) => score > 0.5).length;
    const falsePositives = negative.filter((score) => score > 0.5).length;
    expect(accuracy).toBeCloseTo((truePositives + negative.length - falsePositives) / NAMES.length, 6);
    expect(f1).toBeCloseTo((2 * truePositives) / (truePositives + falsePositives + positive.length), 6);
  });
});

describe('exported maps', () => {
  it.each(NAMES)('%s: a PNG of the slice, and a dict of map, raw map, score and label', async (name) => {
    const { keys, cam, raw, label, score } = exported(name);
    expect(keys).toEqual(['cam', 'cam_raw', 'pred_score', 'cls_label']);
    expect([cam.shape, raw.shape]).toEqual([
      [64, 64],
      [64, 64],
    ]);
    expect([cam.dtype, raw.dtype]).toEqual(['float32', 'float32']);
    expect(label).toMatchObject({ dtype: 'uint8', shape: [1], data: Uint8Array.of(Number(name.at(-1))) });
    const [low, high] = [Math.min(...(raw.data as Float32Array)), Math.max(...(raw.data as Float32Array))];
    expect(low).toBeGreaterThanOrEqual(0);
    expect(high).toBeLessThanOrEqual(1);
    const values = raw.data as Float32Array;
    const errors = values.map((value, i) => Math.abs((value - low) / (high - low) - Number(cam.data[i])));
    expect(Math.max(...errors)).toBeLessThan(1e-6);

    const png = sharp(place.path('work', 'attention_maps', `${name}_${score.toFixed(3)}.png`));
    expect(await png.metadata()).toMatchObject({ format: 'png', width: 64, height: 64, channels: 3 });
    const pixels = await png.raw().toBuffer();
    // Jet colours over a grey slice: neither grey nor one colour.
    expect(new Set(pixels).size).toBeGreaterThan(50);
  });

  it('come from best.pth: the model gives the same score for a slice', () => {
    const name = NAMES[2]!;
    const slice = readNpy(place.path('data', 'imageSlice', `${name}.npy`));
    // ImageNet statistics on the 0..255 scale, as the SegFormer family uses them.
    const [means, stds] = [
      [123.675, 116.28, 103.53],
      [58.395, 57.12, 57.375],
    ] as const;
    const pixels = slice.data as Uint8Array;
    const input = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => {
      const channel = Math.floor(i / 4096);
      return (pixels[i % 4096]! - means[channel]!) / stds[channel]!;
    });
    const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 }).eval();
    model.loadStateDict(readStateDict(place.path('work', 'checkpoints', 'best.pth')));
    const score = noGrad(() =>
      scope(() =>
        model
          .forward(Tensor.from(input, [1, 3, 64, 64]), { cls: true })
          .cls!.sigmoid()
          .item(),
      ),
    );
    model.dispose();
    expect(exported(name).score).toBeCloseTo(score, 5);
  });
});

describe('checkpoints', () => {
  it('hold the names of the original: its parameters and the head’s batch norm', () => {
    const names = [...readStateDict(place.path('work', 'checkpoints', 'best.pth')).keys()];
    const buffers = ['running_mean', 'running_var', 'num_batches_tracked'];
    const expected = [
      ...Object.keys(reference.grad_l2),
      ...buffers.map((name) => `decoder.linear_fuse.bn.${name}`),
    ];
    expect(names.toSorted()).toEqual(expected.toSorted());
  });

  const python = findPython(['torch', 'numpy']);
  it.skipIf(!python)('and arrays are read by PyTorch with weights_only, and by numpy', () => {
    const code = `
import glob, json, os, sys, numpy, torch
work = sys.argv[1]
state = torch.load(os.path.join(work, 'checkpoints/best.pth'), weights_only=True)
last = torch.load(os.path.join(work, 'checkpoints/last.pth'), weights_only=True)
maps = [numpy.load(f, allow_pickle=True).item() for f in sorted(glob.glob(os.path.join(work, 'cam_npy/*.npy')))]
print(json.dumps({
  'type': type(state).__name__, 'names': list(state), 'finite': all(bool(torch.isfinite(v).all()) for v in state.values()),
  'last': sorted(last), 'iteration': json.loads(last['progress'])['iteration'],
  'maps': [[sorted(m), str(m['cam'].dtype), list(m['cam'].shape), type(m['pred_score']).__name__, m['cls_label'].tolist()] for m in maps],
}))`;
    const found = JSON.parse(runPython(python!, code, [place.path('work')]));
    expect(found.names).toEqual([...readStateDict(place.path('work', 'checkpoints', 'best.pth')).keys()]);
    expect(found).toMatchObject({ finite: true, iteration: 8 });
    expect(found.last).toEqual(['config', 'model', 'optimizer', 'progress', 'rng']);
    const keys = ['cam', 'cam_raw', 'cls_label', 'pred_score'];
    const expected = NAMES.map((name) => [keys, 'float32', [64, 64], 'float', [Number(name.at(-1))]]);
    expect(found.maps).toEqual(expected);
  });

  it('are trained: every parameter moved away from its start but the frozen norms of the encoder', () => {
    const [early, late] = [4, 8].map((n) =>
      readStateDict(place.path('work', 'checkpoints', `wetr_iter_${n}.pth`)),
    );
    const same = [...early!].filter(([name, { data }]) => Buffer.compare(data, late!.get(name)!.data) === 0);
    const frozen = same.map(([name]) => name);
    expect(frozen.length).toBeGreaterThan(0);
    expect(frozen.filter((name) => !(name.startsWith('encoder.') && name.includes('norm')))).toEqual([]);
    expect(TINY['train.max_iters']).toBe(8);
  });
});

describe('train.early_stop', () => {
  it('ends a run that gets no better, with summary and maps; a resumed one does not start again', async () => {
    const early = new Workplace().phantom();
    // At a rate this small no score moves: the first eligible validation stays the best but for its loss.
    const settings = {
      'train.max_iters': 40,
      'train.eval_iters': 2,
      'train.cam_iters': 0,
      'train.early_stop': 2,
      'optimizer.learning_rate': 1e-30,
    };
    const args = ['--config', early.config(settings), '--set', 'train.select.metric=pointingGame'];
    const first = await early.train(...args, '--set', 'optimizer.weight_decay=0');
    expect(first.code, first.stderr).toBe(0);
    const [, at, since] =
      /Stopped early after iteration (\d+): no better checkpoint than that of iteration (\d+) in 2/.exec(
        first.stderr,
      )!;
    expect(Number(at) - Number(since)).toBe(4);
    expect(early.json('work', 'summary.json')).toMatchObject({
      iterations: Number(at),
      bestIteration: Number(since),
    });
    const again = await early.train(...args, '--set', 'optimizer.weight_decay=0', '--resume');
    expect(again.code, again.stderr).toBe(0);
    expect(early.json('work', 'summary.json').iterations).toBe(Number(at));
  });
});
