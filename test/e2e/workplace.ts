/** A folder with phantom slices and a configuration, and the compiled commands run in it as a user runs them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { generatePhantom, type PhantomOptions } from '../../src/datasets/phantom.js';

type Settings = Readonly<Record<string, unknown>>;

/** How a command ended. */
export interface Ended {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command that is running. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard error contains `text`; rejects when the command ends before. */
  says(text: string): Promise<void>;
  /** Sends a signal and waits for the end. */
  signal(signal: NodeJS.Signals): Promise<Ended>;
}

/** Three iterations of classification, two with CAM labels, three with affinity labels; a run takes 2 to 4 s. */
export const TINY: Settings = {
  'backbone.config': 'mit_b0',
  'backbone.pretrained': 'none',
  'dataset.name': 'lasc',
  'dataset.root_dir': 'data/imageSlice',
  'dataset.slice_split': [0, 6],
  'dataset.num_classes': 2,
  'dataset.crop_size': 64,
  'work_dir.dir': 'work',
  'train.samples_per_gpu': 2,
  'train.max_iters': 8,
  'train.cam_iters': 2,
  'train.aff_label_switch_iter': 4,
  'train.eval_iters': 4,
  'train.log_iters': 1,
  'train.num_workers': 0,
  'optimizer.learning_rate': 5e-4,
  'scheduler.warmup_iter': 2,
};

/** Dotted keys as nested sections; undefined leaves a key out. */
function nested(settings: Settings): object {
  const root: Record<string, Record<string, unknown>> = {};
  for (const [key, value] of Object.entries(settings)) {
    const [section, name] = key.split('.') as [string, string];
    root[section] ??= {};
    if (value !== undefined) root[section][name] = value;
  }
  return root;
}

const compiled = (script: string): string => fileURLToPath(new URL(`../../dist/${script}`, import.meta.url));

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, removed when the test file ends. */
export class Workplace {
  readonly root = mkdtempSync(join(tmpdir(), 'afa-e2e-'));

  constructor() {
    made.push(this.root);
  }

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /** Four patients of six slices in data/imageSlice, their masks in data/masks. */
  phantom(options: Partial<PhantomOptions> = {}): this {
    generatePhantom({ outDir: this.path('data'), patients: 4, slices: 6, size: 64, seed: 3, ...options });
    return this;
  }

  /** Writes {name}.yaml: the tiny configuration with other values. JSON is YAML, one key to a line. */
  config(settings: Settings = {}, name = 'tiny'): string {
    const file = `${name}.yaml`;
    writeFileSync(this.path(file), JSON.stringify(nested({ ...TINY, ...settings }), null, 2));
    return file;
  }

  start(
    script: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Running {
    const file = compiled(script);
    if (!existsSync(file)) throw new Error(`Expected the compiled ${file}: run \`npm run build:ts\` first.`);
    const child = spawn(process.execPath, [file, ...args], {
      cwd: this.root,
      // A zone half an hour off every other clock shows where one is not local.
      env: { ...process.env, OMP_NUM_THREADS: '1', TZ: 'Asia/Kolkata', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return observe(child);
  }

  /** Trains on the CPU. */
  train(...args: string[]): Promise<Ended> {
    return this.start('train.js', ['--cpu', ...args]).ended;
  }

  genAttn(...args: string[]): Promise<Ended> {
    return this.start('gen-attn.js', ['--device', 'cpu', ...args]).ended;
  }

  evaluate(...args: string[]): Promise<Ended> {
    return this.start('evaluate.js', ['--device', 'cpu', ...args]).ended;
  }

  read(...parts: string[]): Buffer {
    return readFileSync(this.path(...parts));
  }

  json(...parts: string[]): Record<string, unknown> {
    return JSON.parse(this.read(...parts).toString('utf8'));
  }

  /** metrics.jsonl without wall-clock times, which no two runs share. */
  metrics(workDir = 'work'): Record<string, unknown>[] {
    return this.rawMetrics(workDir).map((line) => ({ ...line, seconds: undefined, dataWait: undefined }));
  }

  /** metrics.jsonl as it is. */
  rawMetrics(workDir = 'work'): Record<string, unknown>[] {
    const lines = this.read(workDir, 'metrics.jsonl').toString('utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Every file below a folder, hidden ones too, as sorted relative paths; none when the folder is missing. */
  files(...parts: string[]): string[] {
    const folder = this.path(...parts);
    if (!existsSync(folder)) return [];
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory());
    return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
  }
}

/** Follows a process whose output is piped. */
export function observe(child: ChildProcess): Running {
  let stdout = '';
  let stderr = '';
  const waiting = new Set<() => void>();
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    for (const check of waiting) check();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!stderr.includes(text)) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
      void ended.then(() =>
        reject(new Error(`Expected '${text}' on standard error but received:\n${stderr}`)),
      );
    });
  const signal = (name: NodeJS.Signals) => {
    child.kill(name);
    return ended;
  };
  return { child, ended, says, signal };
}
