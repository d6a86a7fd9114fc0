import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { requireSize } from '../cam/image-size.js';
import { multiScaleCam } from '../cam/multi-scale.js';
import { className } from '../datasets/class-names.js';
import type { Mask } from '../datasets/sample.js';
import { type NpyDictValue, PyFloat, writeNpyDictAsync } from '../io/npy-dict.js';
import type { Batch } from '../loading/batch.js';
import { batchImages } from '../loading/batch-images.js';
import { batchRgb } from '../loading/batch-pixels.js';
import type { EvalLoader } from '../loading/loader.js';
import { enterEvalMode } from '../models/eval-mode.js';
import type { WeTr } from '../models/wetr.js';
import { beginIteration, endIteration } from '../profile/index.js';
import { type Device, noGrad, scope, type Tensor } from '../tensor/index.js';
import { BackgroundWrites } from './background-writes.js';
import type { FinishedMaps, MapFolders } from './finished-maps.js';
import { overlayCam } from './heatmap.js';
import { heatmapFileName, writePng } from './png.js';

/**
 * In `outputDir` heatmaps over the images, in `camNpyDir` dicts of cam, cam_raw, pred_score and cls_label, as the
 * original writes them; in `attnNpyDir` the predicted affinity and the last four blocks' attention logits.
 */
export interface ExportOptions extends MapFolders {
  device: Device;
  scales: readonly number[];
  /** Heatmaps of earlier runs: a slice's own, under another score, go when the new one is written. */
  finished?: FinishedMaps;
  /** Gets the strongest class of each pixel, [height * width], before it is stretched, and the mask where there is one. */
  onMap?: (name: string, camRaw: Float32Array, mask: Mask | undefined) => void;
  onProgress?: (done: number, total: number) => void;
  /** Asked between batches. */
  stopWhen?: () => boolean;
}

export interface ExportResult {
  written: number;
  /** Left out by the loader because they were there already. */
  skipped: number;
  stopped: boolean;
}

/** One image's map as numbers. */
interface ExportedMap {
  name: string;
  /** Highest class probability: the score in the file name. */
  score: number;
  /** Of several classes those that the image has, each with its own map; of one class none. */
  classes: ClassMap[];
  /**
   * Strongest class of each pixel, [height * width], and the same stretched to 0..1. Each class's map is scaled to its
   * own maximum, so of several classes those that the image has count alone, where it has any.
   */
  camRaw: Float32Array<ArrayBuffer>;
  cam: Float32Array<ArrayBuffer>;
  label: Uint8Array<ArrayBuffer>;
  rgb: Uint8Array;
  attention: Record<string, NpyDictValue> | undefined;
}

interface ClassMap {
  /** From 0, without background. */
  index: number;
  score: number;
  /** [height * width]. */
  camRaw: Float32Array<ArrayBuffer>;
}

/** Waiting for the disk would take longer than the maps. A failing machine may leave empty files: FinishedMaps knows them. */
const UNFLUSHED = { flush: false };

/** How many attention blocks the original saves. */
const SAVED_BLOCKS = 4;

/** Stretches a map to 0..1; a flat one becomes 0 (original: generate_attention_maps). */
export function stretch(map: Float32Array): Float32Array<ArrayBuffer> {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of map) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = high - low;
  const out = new Float32Array(map.length);
  if (range > 1e-5) for (let i = 0; i < map.length; i++) out[i] = (map[i]! - low) / range;
  return out;
}

const array = (tensor: Tensor, image: number): NpyDictValue => {
  const one = tensor.select(0, image);
  return { dtype: 'float32', shape: [...one.shape], data: one.toFloat32() };
};

function computeMaps(model: WeTr, batch: Batch, options: ExportOptions): ExportedMap[] {
  const { height, width, names } = batch;
  const pixels = height * width;
  requireSize(names[0]!, [height, width], options.scales, model.options.stride);
  const images = batchImages(batch, options.device);
  const attention = options.attnNpyDir !== undefined;
  const out = model.forward(images, { cls: true, cam: true, affinity: attention, attention });
  const probabilities = out.cls!.sigmoid().toFloat32();
  // The score's pass is the one at scale 1 as well. A GPU repeats it, as part of a graph: launches cost it more.
  const scaleOne = images.device.startsWith('cuda') ? undefined : out.cam;
  const cams = multiScaleCam(model, images, { scales: options.scales, scaleOne }).cam;
  const count = batch.labels.length / names.length;
  const strongest = count === 1 ? cams.toFloat32() : undefined;
  return names.map((name, i) => {
    const label = Uint8Array.from(batch.labels.subarray(i * count, (i + 1) * count));
    const scores = probabilities.subarray(i * count, (i + 1) * count);
    const classes = count === 1 ? [] : classMaps(cams.select(0, i), label, scores);
    const camRaw =
      strongest?.slice(i * pixels, (i + 1) * pixels) ??
      combined(classes) ??
      cams.select(0, i).amax(0).toFloat32();
    let maps: Record<string, NpyDictValue> | undefined;
    if (attention) {
      const blocks = out.attention!;
      maps = { attn_pred: array(out.affinity!, i), num_attn_layers: blocks.length };
      for (let b = Math.max(0, blocks.length - SAVED_BLOCKS); b < blocks.length; b++)
        maps[`attn_layer_${b}`] = array(blocks[b]!, i);
    }
    return {
      name,
      score: Math.max(...scores),
      classes,
      camRaw,
      cam: stretch(camRaw),
      label,
      rgb: batchRgb(batch, i),
      attention: maps,
    };
  });
}

/** Maps of the classes that an image has, from those of all, [C, H, W]. */
const classMaps = (cams: Tensor, label: Uint8Array, scores: Float32Array): ClassMap[] =>
  [...label.entries()]
    .filter(([, present]) => present === 1)
    .map(([index]) => ({ index, score: scores[index]!, camRaw: cams.select(0, index).toFloat32() }));

/** The strongest of each pixel; undefined for no map. */
function combined(maps: readonly ClassMap[]): Float32Array<ArrayBuffer> | undefined {
  const out = maps[0]?.camRaw.slice();
  for (const { camRaw } of maps.slice(1))
    for (const [i, value] of camRaw.entries()) out![i] = Math.max(out![i]!, value);
  return out;
}

/** Bytes of a map, and of what its heatmap needs on the way (float sums and colours). */
function bytesOf({ camRaw, cam, classes, rgb, attention = {} }: ExportedMap): number {
  const arrays = Object.values(attention).flatMap((value) => (typeof value === 'object' ? [value.data] : []));
  const held = [camRaw, cam, ...classes.map((one) => one.camRaw), ...arrays].reduce(
    (sum, array) => sum + array.byteLength,
    0,
  );
  return held + 6 * rgb.byteLength;
}

async function writeMap(
  map: ExportedMap,
  height: number,
  width: number,
  options: ExportOptions,
  classNames: readonly string[] | undefined,
): Promise<void> {
  const pictures = new Map([[heatmapFileName(map.name, map.score), map.cam]]);
  for (const { index, score, camRaw } of map.classes)
    pictures.set(heatmapFileName(map.name, score, className(classNames, index)), stretch(camRaw));
  for (const [file, cam] of pictures)
    await writePng(join(options.outputDir, file), overlayCam(map.rgb, cam), height, width, UNFLUSHED);
  options.finished?.removeOthers(map.name, [...pictures.keys()]);
  if (options.attnNpyDir && map.attention)
    await writeNpyDictAsync(join(options.attnNpyDir, `${map.name}.npy`), map.attention, UNFLUSHED);
  const plane = (data: Float32Array<ArrayBuffer>): NpyDictValue => ({
    dtype: 'float32',
    shape: [height, width],
    data,
  });
  // Last: a later run takes its presence for "done".
  const arrays: Parameters<typeof writeNpyDictAsync>[1] = {
    cam: plane(map.cam),
    cam_raw: plane(map.camRaw),
    pred_score: new PyFloat(map.score),
    cls_label: { dtype: 'uint8', shape: [map.label.length], data: map.label },
    ...(map.classes.length > 0 && classPlanes(map.classes, height, width)),
  };
  await writeNpyDictAsync(join(options.camNpyDir, `${map.name}.npy`), arrays, UNFLUSHED);
}

/** Of several classes: numbers as in masks, and the unstretched map of each. */
function classPlanes(
  classes: readonly ClassMap[],
  height: number,
  width: number,
): Record<string, NpyDictValue> {
  const data = new Float32Array(classes.length * height * width);
  for (const [i, { camRaw }] of classes.entries()) data.set(camRaw, i * height * width);
  const numbers = Uint8Array.from(classes, ({ index }) => index + 1);
  return {
    classes: { dtype: 'uint8', shape: [classes.length], data: numbers },
    class_cams: { dtype: 'float32', shape: [classes.length, height, width], data },
  };
}

/**
 * Exports attention maps of every image of a loader: heatmaps, CAM arrays, optionally raw attention. Files are
 * written while the next images are computed; memory does not grow with their number.
 */
export async function exportAttentionMaps(
  model: WeTr,
  loader: EvalLoader,
  options: ExportOptions,
): Promise<ExportResult> {
  const folders = [options.outputDir, options.camNpyDir, options.attnNpyDir].filter((f) => f !== undefined);
  await Promise.all(folders.map((folder) => mkdir(folder, { recursive: true })));
  const leaveEvalMode = enterEvalMode(model);
  const result: ExportResult = { written: 0, skipped: loader.skipped, stopped: false };
  const writes = new BackgroundWrites();
  if (result.skipped > 0) options.onProgress?.(result.skipped, loader.length);
  beginIteration('export');
  try {
    for (let batch = await loader.next(); batch; batch = await loader.next()) {
      const current = batch;
      const maps = noGrad(() => scope(() => computeMaps(model, current, options)));
      for (const [i, map] of maps.entries()) {
        options.onMap?.(map.name, map.camRaw, current.masks?.[i]);
        await writes.add(bytesOf(map), () =>
          writeMap(map, current.height, current.width, options, loader.dataset.classNames),
        );
      }
      result.written += maps.length;
      options.onProgress?.(result.written + result.skipped, loader.length);
      if (options.stopWhen?.()) {
        result.stopped = true;
        break;
      }
      beginIteration('export');
    }
    await writes.finish();
  } finally {
    endIteration(false);
    leaveEvalMode();
    await writes.settle();
  }
  return result;
}
