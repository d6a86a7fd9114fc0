/**
 * The packed tarball in a fresh folder outside the project, as an embedder gets it.
 *
 * Two steps of `npm install TARBALL` are replaced, so that the test needs no network and no minutes: the declared
 * dependencies (and no others) are linked from this checkout instead of downloaded, and the addon that was built here
 * is copied in instead of built there; its run path leads to this project's libtorch. The package's install hook then
 * runs as it is, and must find nothing left to do.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpy } from '../../src/io/npy.js';
import { WeTr } from '../../src/models/wetr.js';
import { saveWeights } from '../../src/training/checkpoints.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const consumer = mkdtempSync(join(tmpdir(), 'afa-consumer-'));
const installed = join(consumer, 'node_modules/medical-afa');
const inConsumer = (name: string) => join(consumer, name);
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

function run(file: string, args: string[] = [], cwd = consumer) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

beforeAll(() => {
  // --ignore-scripts: dist/ is built already, by npm test's set-up.
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', consumer], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', inConsumer(filename), '--strip-components=1', '-C', installed]);
  for (const name of Object.keys(manifest.dependencies)) {
    const link = inConsumer(join('node_modules', name));
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'junction');
  }
  const binaries = readdirSync(join(root, 'build/Release')).filter((name) => name.endsWith('.node'));
  for (const name of binaries)
    cpSync(join(root, 'build/Release', name), join(installed, 'build/Release', name));
  writeFileSync(
    inConsumer('package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  );
});

describe('the packed tarball', () => {
  it('holds what building and running need, and not the sources', () => {
    const needed = ['native/addon.cc', 'CMakeLists.txt', 'binding.gyp', 'scripts/install.mjs', 'LICENSE'];
    const files = [...needed, manifest.main, manifest.types, ...Object.values<string>(manifest.bin)];
    expect(files.filter((file) => !existsSync(join(installed, file)))).toEqual([]);
    expect(['src', 'test', '.libtorch'].filter((folder) => existsSync(join(installed, folder)))).toEqual([]);
  });

  it('has an install hook that finds the addon and builds nothing', () => {
    const before = readdirSync(installed, { recursive: true });
    expect(run(join(installed, 'scripts/install.mjs'), [], installed)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(readdirSync(installed, { recursive: true })).toEqual(before);
  });

  it.each(Object.entries<string>(manifest.bin))('has the command %s', (_, file) => {
    const { status, stdout } = run(join(installed, file), ['--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/usage/i);
  });

  it('exports every name of the seed document, in camelCase', () => {
    writeFileSync(
      inConsumer('names.mjs'),
      "import * as api from 'medical-afa'; console.log(JSON.stringify(Object.keys(api)));",
    );
    const { stdout, stderr } = run('names.mjs');
    expect(stderr).toBe('');
    // The document's utils/medical_utils.py and datasets/medical_base.py.
    expect(JSON.parse(stdout)).toEqual(
      expect.arrayContaining([
        ...[
          'getDevice',
          'setupSeed',
          'setupLogger',
          'calEta',
          'getDownSize',
          'getSegLoss',
          'getMaskByRadius',
        ],
        ...['robustReadNpy', 'loadSliceList', 'loadClsLabelsFromFilenames'],
        ...['MedicalSliceDataset', 'MedicalClsDataset', 'MedicalClsValDataset'],
        ...['Tensor', 'WeTr', 'Predictor'],
      ]),
    );
  });
});

describe('the example', () => {
  const example = join(root, 'examples/predict.mjs');

  it('is 20 lines of code at most', () => {
    const code = readFileSync(example, 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
    expect(code.length).toBeLessThanOrEqual(20);
  });

  it('loads a checkpoint, predicts and saves a heatmap', async () => {
    const model = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    saveWeights(model, inConsumer('best.pth'));
    model.dispose();
    const data = Uint8Array.from({ length: 80 * 96 }, (_, i) => (i * 5) % 256);
    writeNpy(inConsumer('slice_1.npy'), { dtype: 'uint8', shape: [80, 96], data });
    cpSync(example, inConsumer('predict.mjs'));
    const { status, stdout, stderr } = run('predict.mjs', ['best.pth', 'slice_1.npy', 'heat.png']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      /^mit_b0: score 0\.\d{3}, \d+ of 7680 pixels positive\nWrote heat\.png \(96x80\)\n$/,
    );
    const { format, width, height } = await sharp(inConsumer('heat.png')).metadata();
    expect({ format, width, height }).toEqual({ format: 'png', width: 96, height: 80 });
  });

  it('says how it is called', () => {
    expect(run(example, [], root)).toMatchObject({ status: 2, stdout: '' });
  });
});

describe('the type declarations', () => {
  it('compile in a strict project, libraries included, and refuse a wrong call', () => {
    writeFileSync(
      inConsumer('consumer.ts'),
      `
      import { type Config, loadConfig, type Prediction, Predictor, Tensor, train, WeTr } from 'medical-afa';
      const predictor: Predictor = await Predictor.load('best.pth', { pooling: 'gap', scales: [1, 0.5] });
      const out: Prediction = await predictor.predict({ data: new Uint8Array(4096), height: 64, width: 64 });
      const cam: Float32Array = out.cam;
      const model = new WeTr({ backbone: 'mit_b1', numClasses: 2 }).eval();
      const { cls } = model.forward(Tensor.zeros([1, 3, 64, 64]), { cls: true });
      export const probabilities: Float32Array | undefined = cls?.sigmoid().toFloat32();
      export const config: Config = loadConfig({ dataset: 'lasc' }).config;
      export { cam, train };
      // @ts-expect-error no such pooling; were the package untyped, this line would not be a fault
      await Predictor.load('best.pth', { pooling: 'max' });
      `,
    );
    const compilerOptions = {
      ...{ module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, skipLibCheck: false },
      ...{ types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
    };
    writeFileSync(inConsumer('tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const { status, stdout } = run(join(root, 'node_modules/typescript/bin/tsc'), ['-p', 'tsconfig.json']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});
