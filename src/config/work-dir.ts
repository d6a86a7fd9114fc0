import path from 'node:path';
import type { Config } from './schema.js';

/** What lies where in a work directory; `work_dir` names the root and three of the folders. */
export function workDirPaths({ work_dir }: Config) {
  const at = (...parts: string[]): string => path.join(work_dir.dir, ...parts);
  return {
    root: work_dir.dir,
    checkpoints: at(work_dir.ckpt_dir),
    best: at(work_dir.ckpt_dir, 'best.pth'),
    last: at(work_dir.ckpt_dir, 'last.pth'),
    /** The checkpoint of an iteration, counted from 1. */
    iteration: (n: number): string => at(work_dir.ckpt_dir, `wetr_iter_${n}.pth`),
    predictions: at(work_dir.pred_dir),
    tbLogger: at(work_dir.tb_logger_dir),
    attentionMaps: at('attention_maps'),
    camNpy: at('cam_npy'),
    attnNpy: at('attn_npy'),
    config: at('config.yaml'),
    metrics: at('metrics.jsonl'),
    summary: at('summary.json'),
    evaluation: at('evaluation.json'),
    /** Each validation image as best.pth sees it. */
    cases: at(work_dir.ckpt_dir, 'best_cases.json'),
    /** Where a command's time went. */
    profile: (command: string): string => at(`profile-${command}.json`),
    log: (timestamp: string): string => at(`${timestamp}.log`),
  };
}
