/** Exporting maps again: every option of the command, and what it may and may not skip. */
import { copyFileSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/io/checkpoint.js';
import { type NpyArray, readNpy } from '../../src/io/npy.js';
import { type NpyDictValue, readNpyDict } from '../../src/io/npy-dict.js';
import { Workplace } from './workplace.js';

const place = new Workplace().phantom();
let config: string;
/** The checkpoint that is not the best one. */
let other: string;

beforeAll(async () => {
  config = place.config();
  const { code } = await place.train('--config', config);
  expect(code).toBe(0);
  const { bestIteration } = place.json('work', 'summary.json');
  other = `work/checkpoints/wetr_iter_${bestIteration === 4 ? 8 : 4}.pth`;
});

const genAttn = (...args: string[]) => place.genAttn('--config', config, ...args);
const maps = (folder = 'work/attention_maps') => place.files(folder).filter((name) => !name.startsWith('.'));
const arrays = (folder = 'work/cam_npy') => maps(folder);
const dict = (name: string, folder = 'work/cam_npy') => readNpyDict(place.path(folder, name));
const raw = (name: string, folder?: string) => (dict(name, folder).get('cam_raw') as NpyArray).data;
const FIRST = 'LASC_000_00_1.npy';

/** Content of every map and array, and whether each heatmap's name is its array's name and score. */
function contents(output = 'work/attention_maps', npy = 'work/cam_npy') {
  const named = arrays(npy).map((name) => {
    const score = dict(name, npy).get('pred_score') as number;
    return `${name.slice(0, -'.npy'.length)}_${score.toFixed(3)}.png`;
  });
  expect(maps(output)).toEqual(named);
  const files = [...named.map((name) => [output, name]), ...arrays(npy).map((name) => [npy, name])];
  return files.map((file) => place.read(...file).toString('base64'));
}

describe('after a training', () => {
  it('finds everything done and touches nothing', async () => {
    const times = () => arrays().map((name) => statSync(place.path('work/cam_npy', name)).mtimeMs);
    const [before, changed] = [contents(), times()];
    const { code, stderr, stdout } = await genAttn();
    expect(stderr).toContain('Wrote 0 maps to work/attention_maps and work/cam_npy; 6 were there already');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(times()).toEqual(changed);
    expect(contents()).toEqual(before);
  });

  it('does all again, to the same bytes, with --overwrite', async () => {
    const before = contents();
    const { code, stderr } = await genAttn('--overwrite');
    expect(stderr).toContain('Wrote 6 maps');
    expect(code).toBe(0);
    expect(contents()).toEqual(before);
  });

  it('redoes what other weights made, and leaves no map of the old ones', async () => {
    const before = contents();
    const { code, stderr } = await genAttn('--checkpoint', other);
    expect(stderr).toContain(`from ${other}`);
    expect(stderr).toContain('Wrote 6 maps');
    expect(code).toBe(0);
    const after = contents();
    expect(after).toHaveLength(12);
    for (const [i, content] of after.entries()) expect(content).not.toBe(before[i]);
    await genAttn();
    expect(contents()).toEqual(before);
  });

  it('takes the last iteration with --use_final, which --checkpoint contradicts', async () => {
    const { code, stderr } = await genAttn(
      '--use_final',
      '--output_dir',
      'final',
      '--cam_npy_dir',
      'final_npy',
    );
    expect(stderr).toContain('from work/checkpoints/wetr_iter_8.pth');
    expect(code).toBe(0);
    expect(contents('final', 'final_npy')).toHaveLength(12);
    const both = await genAttn('--use_final', '--checkpoint', other);
    expect(both).toMatchObject({ code: 2, stdout: '' });
    expect(both.stderr).toMatch(/^Error: .*--checkpoint.* cannot be used with .*--use_final/);
  });

  it('computes at other --scales, again without being told to overwrite', async () => {
    const three = raw(FIRST).slice();
    const { code, stderr } = await genAttn('--scales', '1.0');
    expect(stderr).toContain('Wrote 6 maps');
    expect(code).toBe(0);
    const one = raw(FIRST);
    expect(one).not.toEqual(three);
    expect(Math.max(...(one as Float32Array))).toBeCloseTo(1, 2);
    await genAttn('--scales', '1.0', '0.5', '1.5');
    expect(raw(FIRST)).toEqual(three);
  });

  it('pools as --pooling says: other scores from the same weights', async () => {
    const score = dict(FIRST).get('pred_score');
    const { stderr } = await genAttn('--pooling', 'gap');
    expect(stderr).toContain('Wrote 6 maps');
    expect(dict(FIRST).get('pred_score')).not.toBe(score);
    await genAttn();
    expect(dict(FIRST).get('pred_score')).toBe(score);
  });
});

describe('a run that was stopped', () => {
  it('is gone on with: only slices without a whole map are read and computed', async () => {
    const before = contents();
    const [first, second] = arrays();
    // Whatever reads the slice of a finished map fails on it; one map of six is missing.
    const slice = place.path('data/imageSlice', first!);
    const bytes = place.read('data/imageSlice', first!);
    const { mtime } = statSync(slice);
    writeFileSync(slice, 'damaged');
    utimesSync(slice, mtime, mtime);
    rmSync(place.path('work/cam_npy', second!));
    try {
      const { code, stderr } = await genAttn('--batch_size', '4');
      expect(stderr).toContain('Wrote 1 maps to work/attention_maps and work/cam_npy; 5 were there already');
      expect(code).toBe(0);
      expect(contents()).toEqual(before);
      expect((await genAttn('--overwrite')).stderr).toContain(first);
    } finally {
      writeFileSync(slice, bytes);
    }
    expect((await genAttn('--overwrite')).code).toBe(0);
    expect(contents()).toEqual(before);
  });

  it('redoes the map of a slice that has changed since', async () => {
    const [before, [first, second]] = [contents(), arrays()];
    const slice = place.path('data/imageSlice', first!);
    const bytes = place.read('data/imageSlice', first!);
    copyFileSync(place.path('data/imageSlice', second!), slice);
    try {
      expect((await genAttn()).stderr).toContain('Wrote 1 maps');
      expect(raw(first!)).toEqual(raw(second!));
    } finally {
      writeFileSync(slice, bytes);
    }
    expect((await genAttn()).stderr).toContain('Wrote 1 maps');
    expect(contents()).toEqual(before);
  });
});

describe('a machine that failed', () => {
  it('may have left empty files: their maps are made again', async () => {
    const before = contents();
    const [first, second] = arrays();
    const heatmap = place
      .files('work/attention_maps')
      .find((file) => file.startsWith(second!.slice(0, -'.npy'.length)));
    for (const path of [place.path('work/cam_npy', first!), place.path('work/attention_maps', heatmap!)])
      writeFileSync(path, '');
    const { code, stderr } = await genAttn();
    expect(stderr).toContain('Wrote 2 maps');
    expect(code).toBe(0);
    expect(contents()).toEqual(before);
  });
});

describe('folders', () => {
  it('fills a new --output_dir although the arrays are there', async () => {
    const before = contents();
    const { code, stderr } = await genAttn('--output_dir', 'elsewhere/maps');
    expect(stderr).toContain('Wrote 6 maps to elsewhere/maps and work/cam_npy');
    expect(code).toBe(0);
    expect(contents('elsewhere/maps')).toEqual(before);
  });

  it('goes by what a folder holds, not by what another got last', async () => {
    await genAttn('--checkpoint', other, '--output_dir', 'a', '--cam_npy_dir', 'a_npy');
    await genAttn('--output_dir', 'a', '--cam_npy_dir', 'b_npy');
    // a_npy fits these weights, but the heatmaps in `a` are by now the best checkpoint's.
    const { stderr } = await genAttn('--checkpoint', other, '--output_dir', 'a', '--cam_npy_dir', 'a_npy');
    expect(stderr).toContain('Wrote 6 maps');
    contents('a', 'a_npy');
  });

  it('leaves --cam_npy_dir with arrays only that ls shows, and reads the split of --split', async () => {
    const { code, stderr } = await genAttn(
      ...['--split', 'train', '--batch_size', '4', '--output_dir', 't', '--cam_npy_dir', 't_npy'],
    );
    expect(stderr).toContain('Wrote 18 maps to t and t_npy');
    expect(code).toBe(0);
    const names = arrays('t_npy');
    expect(names).toHaveLength(18);
    expect(names.filter((name) => /^LASC_00[123]_0\d_[01]\.npy$/.test(name))).toEqual(names);
    expect(contents('t', 't_npy')).toHaveLength(36);
  });

  it.each([
    ['--cam_npy_dir', 'data/imageSlice', 'dataset.root_dir'],
    ['--attn_npy_dir', './data/masks', 'dataset.masks_dir'],
    ['--attn_npy_dir', 'work/cam_npy', 'the CAM arrays'],
  ])('refuses %s %s, whose files have the same names', async (flag, folder, what) => {
    const before = place.read('data/imageSlice', FIRST);
    const { code, stderr, stdout } = await genAttn('--save_attn', flag, folder);
    expect(stderr).toMatch(/^Error: Expected a folder/);
    expect(stderr).toContain(what);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(place.read('data/imageSlice', FIRST)).toEqual(before);
    expect(readNpy(place.path('data/imageSlice', FIRST)).shape).toEqual([64, 64]);
  });
});

describe('--save_attn', () => {
  it('adds raw attention to maps that are done, in attn_npy', async () => {
    expect((await genAttn()).code).toBe(0);
    const { code, stderr } = await genAttn('--save_attn');
    expect(stderr).toContain(
      'Wrote 6 maps to work/attention_maps, work/cam_npy and, raw attention, work/attn_npy\n',
    );
    expect(code).toBe(0);
    expect(arrays('work/attn_npy')).toEqual(arrays());
    const attention = dict(FIRST, 'work/attn_npy') as Map<string, NpyDictValue & NpyArray>;
    // A 64x64 slice has a 4x4 grid in the last two stages, and in every stage's reduced keys; b0 has two blocks
    // a stage, heads 1, 2, 5 and 8.
    expect([...attention.keys()]).toEqual([
      'attn_pred',
      'num_attn_layers',
      ...[4, 5, 6, 7].map((block) => `attn_layer_${block}`),
    ]);
    expect(attention.get('num_attn_layers')).toBe(8);
    const shapes = ['attn_pred', 'attn_layer_4', 'attn_layer_7'].map((key) => attention.get(key)!.shape);
    expect(shapes[0]).toEqual([16, 16]);
    expect(shapes[2]).toEqual([8, 16, 16]);
    const affinity = attention.get('attn_pred')!.data as Float32Array;
    expect(affinity.every((value) => value > 0 && value < 1)).toBe(true);
    expect((await genAttn('--save_attn')).stderr).toContain('6 were there already');
  });

  it('writes to --attn_npy_dir, which needs --save_attn', async () => {
    const { code } = await genAttn('--save_attn', '--attn_npy_dir', 'raw');
    expect(code).toBe(0);
    expect(arrays('raw')).toEqual(arrays());
    const alone = await genAttn('--attn_npy_dir', 'alone');
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain('Expected --save_attn beside --attn_npy_dir');
    expect(place.files('alone')).toEqual([]);
  });
});

describe('Ctrl-C', () => {
  const split = ['--split', 'train', '--output_dir', 'c', '--cam_npy_dir', 'c_npy'];
  beforeEach(() => mkdirSync(place.path('c'), { recursive: true }));

  it('stops after a map with 130; the next run goes on, and takes no older map for its own', async () => {
    await genAttn(...split);
    const running = place.start('gen-attn.js', [
      '--config',
      config,
      '--device',
      'cpu',
      ...split,
      '--use_final',
      '--scales',
      '1.0',
      '2.0',
    ]);
    await running.says('Exporting attention maps of 18 images');
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('Stopping after this map; press Ctrl-C again to leave at once.');
    expect(stderr).not.toContain('last.pth');
    const written = Number(/Wrote (\d+) maps/.exec(stderr)?.[1]);
    expect(written).toBeLessThan(18);
    expect([...maps('c'), ...maps('c_npy')].filter((name) => !/\.(png|npy)$/.test(name))).toEqual([]);

    const next = await genAttn(...split, '--use_final', '--scales', '1.0', '2.0');
    expect(next.stderr).toContain(`Wrote ${18 - written} maps`);
    const clean = ['--split', 'train', '--output_dir', 'd', '--cam_npy_dir', 'd_npy'];
    await genAttn(...clean, '--use_final', '--scales', '1.0', '2.0');
    expect(contents('c', 'c_npy')).toEqual(contents('d', 'd_npy'));
  });
});

describe('faults', () => {
  const refused = async (...args: string[]) => {
    const ended = await genAttn(...args, '--output_dir', 'none', '--cam_npy_dir', 'none_npy');
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    expect([...place.files('none'), ...place.files('none_npy')]).toEqual([]);
    return ended.stderr;
  };

  it('a missing checkpoint is named, with what to do', async () => {
    const message = 'Expected a checkpoint at no.pth but there is no such file. Train first';
    expect(await refused('--checkpoint', 'no.pth')).toContain(message);
    expect(await refused('--work_dir', 'empty')).toContain('empty/checkpoints/best.pth');
    expect(await refused('--work_dir', 'empty', '--use_final')).toMatch(
      /wetr_iter_N\.pth files in empty\S* for --use_final/,
    );
  });

  it('a folder that cannot be made', async () => {
    const { code, stderr } = await genAttn('--output_dir', `${config}/maps`);
    expect(code).toBe(2);
    expect(stderr).toContain(`for ${config}/maps but ${config} is a file. Choose another with --output_dir.`);
  });

  it('a damaged one too', async () => {
    for (const name of ['bad_truncated.pth', 'legacy_nonzip.pth', 'bad_malicious.pth']) {
      const fixture = new URL(`../fixtures/io/${name}`, import.meta.url);
      copyFileSync(fixture, place.path(name));
      expect(await refused('--checkpoint', name)).toMatch(new RegExp(`^Error: Expected .*${name}`, 'm'));
    }
  });

  it('names of another backbone or number of classes are listed', async () => {
    const backbone = await refused('--set', 'backbone.config=mit_b2');
    expect(backbone).toContain('Error: work/checkpoints/best.pth does not fit this model:');
    expect(backbone).toMatch(/missing \(\d+\):\n\s+encoder\.block1\.2\./);
    expect(backbone).toMatch(
      /of another shape \(\d+\):\n\s+encoder\.\S+: expected \[[\d, ]+\] but received \[[\d, ]+\]/,
    );
    const larger = await refused('--set', 'dataset.num_classes=3');
    expect(larger).toContain('classifier.weight: expected [2, 256, 1, 1] but received [1, 256, 1, 1]');
    expect(larger).toContain(
      'decoder.linear_pred.weight: expected [3, 256, 1, 1] but received [2, 256, 1, 1]',
    );
    expect(larger).toContain('Check backbone.config, backbone.stride and dataset.num_classes');
  });

  it('last.pth serves as well: it holds the weights', async () => {
    const weights = readCheckpoint(place.path('work/checkpoints/last.pth'));
    expect(weights).toBeInstanceOf(Map);
    const { code } = await genAttn(
      ...['--checkpoint', 'work/checkpoints/last.pth', '--output_dir', 'l', '--cam_npy_dir', 'l_npy'],
    );
    expect(code).toBe(0);
    await genAttn('--use_final', '--output_dir', 'f', '--cam_npy_dir', 'f_npy');
    expect(contents('l', 'l_npy')).toEqual(contents('f', 'f_npy'));
  });
});
