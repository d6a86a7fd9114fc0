/** last.pth: everything that going on needs. A resumed run continues bit for bit; other files are refused by name. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import {
  type CheckpointValue,
  readCheckpoint,
  readStateDict,
  writeCheckpoint,
} from '../../src/io/checkpoint.js';
import type { Batch } from '../../src/loading/batch.js';
import { StateDictMismatch } from '../../src/models/state-dict.js';
import { WeTr } from '../../src/models/wetr.js';
import { PolyWarmupAdamW } from '../../src/optim/poly-warmup-adamw.js';
import { memory, setupSeed } from '../../src/tensor/index.js';
import {
  finalCheckpoint,
  loadWeights,
  type Progress,
  resumeTraining,
  saveTraining,
  saveWeights,
} from '../../src/training/checkpoints.js';
import { phaseOf } from '../../src/training/schedule.js';
import { type StepOptions, type StepResult, trainStep } from '../../src/training/step.js';
import { caught } from '../native/support.js';

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'afa-checkpoints-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: StepOptions = {
  scales: [1, 0.5],
  thresholds: { bkgScore: 0.45, highThre: 0.55, lowThre: 0.35, ignoreIndex: 255 },
  par: { numIter: 2, dilations: [1, 2, 4] },
  radius: 8,
  affinitySource: 'refined_aff_label',
  camMode: 'train',
  segDetach: false,
  weights: { cls: 1, seg: 0.1, aff: 0.1 },
  device: 'cpu',
  stride: 16,
};
const [CAM_ITERS, SWITCH_ITER] = [1, 3];

/** A model with drop path and dropout, so that the random state counts, and its optimizer. */
class Run {
  readonly model: WeTr;
  readonly optimizer: PolyWarmupAdamW;

  constructor(seed: number, groups = 3) {
    setupSeed(seed);
    this.model = new WeTr({ backbone: 'mit_b0', numClasses: 3, dropPath: 0.3, headDropout: 0.3 });
    const { backbone, classifier, decoder } = this.model.parameterGroups();
    const all = [backbone, classifier, decoder].slice(0, groups);
    this.optimizer = new PolyWarmupAdamW(
      all.map((parameters, i) => ({ parameters, lr: i === 0 ? 1e-3 : 1e-2, weightDecay: 0.01 })),
      { betas: [0.9, 0.999], warmupIter: 2, maxIter: 8, warmupRatio: 0.1, power: 0.9 },
    );
  }

  /** Iterations `from` to before `to`, on batches that depend on the iteration alone. */
  advance(from: number, to: number): StepResult[] {
    const results: StepResult[] = [];
    for (let k = from; k < to; k++) {
      const batch: Batch = {
        names: ['a', 'b'],
        pixels: {
          kind: 'floats',
          data: Float32Array.from({ length: 2 * 3 * 64 * 64 }, (_, i) => Math.sin(i * (0.01 + 0.001 * k))),
        },
        height: 64,
        width: 64,
        labels: Float32Array.of(1, 0, k % 2, 1),
        boxes: Int32Array.of(0, 64, 0, 64, 0, 60, 4, 64),
      };
      results.push(trainStep(this.model, this.optimizer, batch, phaseOf(k, CAM_ITERS, SWITCH_ITER), OPTIONS));
    }
    return results;
  }

  /** Weights, buffers, moments and step counts in one hash. */
  fingerprint(): string {
    const hash = createHash('sha1');
    for (const [name, { data }] of this.model.stateDict()) hash.update(name).update(data);
    for (const { firstMoments, secondMoments, steps } of this.optimizer.state().groups)
      for (const { data } of [...firstMoments, ...secondMoments, ...steps]) hash.update(data);
    return hash.digest('hex');
  }

  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}

function withRun<T>(body: (run: Run) => T, seed = 1, groups = 3): T {
  const run = new Run(seed, groups);
  try {
    return body(run);
  } finally {
    run.dispose();
  }
}

const PROGRESS: Progress = {
  iteration: 3,
  validated: 2,
  sampler: { epoch: 1, cursor: 17 },
  best: undefined,
  seconds: 12.5,
};

describe('saveTraining and resumeTraining', () => {
  it('a run interrupted in any phase goes on bit for bit, losses and weights', () => {
    const steps = 6;
    const [losses, fingerprint] = withRun((run) => [run.advance(0, steps), run.fingerprint()] as const);
    expect(losses.map((r) => r.phase)).toEqual(['cls', 'cls', 'cam', 'cam', 'affinity', 'affinity']);
    expect(losses.every((r) => r.nonFinite === undefined)).toBe(true);
    for (const k of [1, 3, 5]) {
      const path = at(`last-${k}.pth`);
      withRun((run) => {
        run.advance(0, k);
        saveTraining(path, run.model, run.optimizer, { ...PROGRESS, iteration: k }, 'train:\n');
      });
      // Other first weights and other random numbers: all must come from the file.
      withRun((run) => {
        const progress = resumeTraining(path, run.model, run.optimizer);
        expect(progress.iteration).toBe(k);
        expect(run.optimizer.stepCount).toBe(k);
        expect(run.advance(k, steps)).toEqual(losses.slice(k));
        expect(run.fingerprint()).toBe(fingerprint);
      }, 99);
    }
  });

  it('gives progress back as it was, with and without a best', () => {
    withRun((run) => {
      const scores = { images: 4, loss: 0.25, auroc: 0.5, reasons: {} } as never;
      const best = { iteration: 2, eligible: true, metric: 'auroc', value: 0.5, scores } as const;
      for (const progress of [PROGRESS, { ...PROGRESS, best }]) {
        saveTraining(at('progress.pth'), run.model, run.optimizer, progress, '');
        expect(resumeTraining(at('progress.pth'), run.model, run.optimizer)).toEqual(progress);
      }
    });
  });

  it('writes weights that readStateDict and loadWeights find, and the configuration as text', () => {
    withRun((run) => {
      saveTraining(at('last.pth'), run.model, run.optimizer, PROGRESS, 'backbone:\n  config: mit_b0\n');
      const saved = readCheckpoint(at('last.pth')) as Map<string, CheckpointValue>;
      expect([...saved.keys()]).toEqual(['model', 'optimizer', 'rng', 'progress', 'config']);
      expect(saved.get('config')).toBe('backbone:\n  config: mit_b0\n');
      expect([...readStateDict(at('last.pth')).keys()]).toEqual([...run.model.state().keys()]);
      withRun((other) => {
        loadWeights(other.model, at('last.pth'));
        expect(other.fingerprint()).toBe(run.fingerprint());
      }, 5);
    });
  });

  it('leaves no tensor behind', () => {
    withRun((run) => {
      const before = memory();
      saveTraining(at('leak.pth'), run.model, run.optimizer, PROGRESS, '');
      resumeTraining(at('leak.pth'), run.model, run.optimizer);
      expect(memory()).toEqual(before);
    });
  });
});

describe('files that cannot be resumed', () => {
  /** Tries to resume from a file; returns the error and checks that nothing changed. */
  const refused = (name: string): Error =>
    withRun((run) => {
      const before = run.fingerprint();
      const error = caught(() => resumeTraining(at(name), run.model, run.optimizer)) as Error;
      expect(run.fingerprint()).toBe(before);
      return error;
    });

  it('weights only: says which file to name', () => {
    withRun((run) => saveWeights(run.model, at('best.pth')));
    const error = refused('best.pth');
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(
      `Expected a training checkpoint (last.pth) for --resume but ${at('best.pth')} holds weights only. ` +
        'Name the last.pth of the run; best.pth and wetr_iter_N.pth are for gen-attn and evaluation.',
    );
  });

  it('a checkpoint that is no dict', () => {
    writeCheckpoint(at('list.pth'), [1, 2]);
    expect(refused('list.pth')).toBeInstanceOf(UsageError);
  });

  it('a missing, a truncated and a foreign file are named', () => {
    expect(refused('none.pth').message).toContain(`${at('none.pth')}: no such file exists`);
    withRun((run) => saveWeights(run.model, at('cut.pth')));
    truncateSync(at('cut.pth'), 1000);
    expect(refused('cut.pth').message).toContain(at('cut.pth'));
    writeFileSync(at('text.pth'), 'not a checkpoint');
    expect(refused('text.pth').message).toContain(at('text.pth'));
  });

  it('a checkpoint of another model lists what does not fit', () => {
    using other = new WeTr({ backbone: 'mit_b0', numClasses: 2 });
    withRun((run) => saveTraining(at('other.pth'), other, run.optimizer, PROGRESS, ''));
    const error = refused('other.pth');
    expect(error).toBeInstanceOf(StateDictMismatch);
    expect(error.message).toContain(`${at('other.pth')} does not fit this model`);
    expect(error.message).toContain('classifier.weight: expected [2, 256, 1, 1] but received [1, 256, 1, 1]');
  });

  it('a checkpoint of other parameter groups', () => {
    withRun((run) => saveTraining(at('groups.pth'), run.model, run.optimizer, PROGRESS, ''), 1, 2);
    withRun((run) => {
      const error = caught(() => resumeTraining(at('groups.pth'), run.model, run.optimizer)) as Error;
      expect(error.message).toContain('Expected optimizer state for parameter groups of');
      expect(error.message).toContain('resume with the configuration that the run began with');
    });
  });
});

describe('loadWeights and finalCheckpoint', () => {
  it('loadWeights takes what saveWeights wrote, and says what to run when there is nothing', () => {
    withRun((run) => {
      saveWeights(run.model, at('weights.pth'));
      withRun((other) => {
        loadWeights(other.model, at('weights.pth'));
        expect(other.fingerprint()).toBe(run.fingerprint());
      }, 7);
      const error = caught(() => loadWeights(run.model, at('nowhere.pth')));
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).toMatch(
        /^Expected a checkpoint at .*nowhere\.pth but there is no such file\. Train first/,
      );
    });
  });

  it('saveWeights writes the same bytes for the same weights', () => {
    withRun((run) => {
      for (const name of ['one.pth', 'two.pth']) saveWeights(run.model, at(name));
      expect(readFileSync(at('one.pth')).equals(readFileSync(at('two.pth')))).toBe(true);
    });
  });

  it('finalCheckpoint is the wetr_iter_N.pth of the highest number', () => {
    const runs = mkdtempSync(at('runs-'));
    const expectNone = (path: string) => {
      const error = caught(() => finalCheckpoint(path)) as UsageError;
      expect(error).toBeInstanceOf(UsageError);
      expect(error.message).toContain(`Expected wetr_iter_N.pth files in ${path} for --use_final`);
    };
    expectNone(runs);
    expectNone(join(runs, 'absent'));
    for (const name of [
      'wetr_iter_900.pth',
      'wetr_iter_10000.pth',
      'best.pth',
      'wetr_iter_99999.pth.tmp',
      'wetr_iter_x.pth',
    ])
      writeFileSync(join(runs, name), '');
    expect(finalCheckpoint(runs)).toBe(join(runs, 'wetr_iter_10000.pth'));
  });
});
