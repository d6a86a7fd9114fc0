/** A dataset of the user's own: one module in a folder of theirs, and nothing changed in the package. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Ended, Workplace } from './workplace.js';

let place: Workplace;
beforeEach(() => {
  place = new Workplace().phantom();
  // As in a project of today; without it, Node before 20.19 takes .js for CommonJS.
  writeFileSync(place.path('package.json'), '{ "type": "module" }');
});

const SHORT = {
  'dataset.name': undefined,
  'dataset.slice_split': undefined,
  'work_dir.dir': undefined,
  'train.max_iters': 2,
  'train.cam_iters': 1,
  'train.aff_label_switch_iter': 1,
  'train.eval_iters': 2,
  'train.num_workers': 1,
  'val.cam': false,
};

/** By its facts alone. */
const FACTS = "export default { name: 'mine', title: 'My slices', sliceSplit: [0, 6] };\n";

const module = (text: string, file = 'my-dataset.js') => writeFileSync(place.path(file), text);

function ok({ code, stderr }: Ended): string {
  expect(code, stderr).toBe(0);
  return stderr;
}

describe('a dataset in a module', () => {
  it('trains with a worker, exports maps and resumes, with the configuration beside it', async () => {
    module(FACTS);
    place.config(SHORT, 'mine_attn_reg');
    const said = ok(await place.train('--dataset', './my-dataset.js'));
    expect(said).toContain("Dataset 'mine' is that of ./my-dataset.js");
    expect(said).toContain('Reading mine_attn_reg.yaml');
    // The work directory is called after the dataset, as anyone's.
    expect(place.files('work_dir_mine', 'attention_maps')).toHaveLength(6);
    expect(place.json('work_dir_mine', 'summary.json')).toMatchObject({ images: 6, iterations: 2 });

    ok(
      await place.genAttn(
        '--dataset',
        'my-dataset.js',
        '--scales',
        '1',
        '--output_dir',
        'maps',
        '--overwrite',
      ),
    );
    expect(place.files('maps').filter((name) => name.endsWith('.png'))).toHaveLength(6);

    const more = ['--resume', '--set', 'train.max_iters=3', '--set', 'scheduler.warmup_iter=2'];
    const resumed = ok(await place.train('--dataset', './my-dataset.js', ...more));
    expect(resumed).toContain('at iteration 2');
    expect(place.json('work_dir_mine', 'summary.json')).toMatchObject({ iterations: 3 });
  });

  it('has its own reader, and its name wins over that of --config', async () => {
    mkdirSync(place.path('sets'));
    module(
      `const names = Array.from({ length: 8 }, (_, i) => \`drawn_\${i}\`);
      export default {
        name: 'drawn', title: 'Drawn as they are read',
        open(config, split) {
          const own = split === 'val' ? names.slice(0, 4) : names.slice(4);
          const readImage = (i) => ({
            data: Uint8Array.from({ length: 64 * 80 }, (_, p) => (p * (i + 3)) % 251),
            height: 64, width: 80, channels: 1,
          });
          return {
            names: own, numClasses: config.num_classes, hasMasks: false,
            label: (i) => Uint8Array.of(i % 2), readImage, readMask: () => undefined,
            get: (i) => ({ name: own[i], image: readImage(i), label: Uint8Array.of(i % 2) }),
          };
        },
      };`,
      'sets/drawn.mjs',
    );
    const config = place.config({ ...SHORT, 'dataset.name': 'lasc', 'work_dir.dir': 'work' });
    ok(await place.train('--dataset', './sets/drawn.mjs', '--config', config));
    expect(place.files('work', 'cam_npy').filter((name) => name.startsWith('drawn_'))).toHaveLength(4);
  });

  it('registers itself through the package, where its folder has it', async () => {
    mkdirSync(place.path('node_modules'));
    symlinkSync(
      fileURLToPath(new URL('../..', import.meta.url)),
      place.path('node_modules/medical-afa'),
      'dir',
    );
    module(
      `import { registerMedicalDataset } from 'medical-afa';
      registerMedicalDataset({ name: 'mine', title: 'My slices', sliceSplit: [0, 6], remedy: () => 'Draw them.' });`,
    );
    place.config(SHORT, 'mine_attn_reg');
    ok(await place.train('--dataset', './my-dataset.js'));
    expect(place.files('work_dir_mine', 'attention_maps')).toHaveLength(6);
  });
});

describe('refused, before anything is written', () => {
  async function refused(args: string[], ...parts: (string | RegExp)[]) {
    const { code, stderr } = await place.train(...args);
    for (const part of parts) expect(stderr).toMatch(part);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(code, stderr).toBe(2);
    expect(place.files('work_dir_mine')).toEqual([]);
  }
  const own = ['--dataset', './my-dataset.js'];

  it('a module that is no JavaScript', async () => {
    module('export default {');
    await refused(
      own,
      'my-dataset.js: Unexpected end of input (`node --check ./my-dataset.js` shows where).',
    );
  });

  it('a module without a configuration', async () => {
    module(FACTS);
    await refused(own, /neither --config nor mine_attn_reg\.yaml nor configs\/mine_attn_reg\.yaml.*Copy/);
  });

  it('its configuration without its module', async () => {
    module(FACTS);
    const config = place.config({ ...SHORT, 'dataset.name': 'mine', 'work_dir.dir': 'work_dir_mine' });
    await refused(
      ['--config', config],
      /received string 'mine'\. A dataset of your own: --dataset \.\/FILE\.js/,
    );
  });

  it('a folder without slices', async () => {
    module(FACTS);
    place.config({ ...SHORT, 'dataset.root_dir': 'nowhere' }, 'mine_attn_reg');
    await refused(
      own,
      /root_dir nowhere but this folder does not exist\. Set dataset\.root_dir to the folder/,
    );
  });
});
