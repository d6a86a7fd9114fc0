/**
 * Draws one slice of the demonstration phantom: a body with a few tissues, at most one textured lesion,
 * a thin ring and dots as distractors. Pure computation, no files.
 *
 * Lengths are in pixels of a 96-pixel slice, intensities on the 0..255 scale, unless said otherwise.
 */

import type { Random } from '../loading/random.js';
import { blur, texture } from './phantom-texture.js';

const REFERENCE_SIZE = 96;
/** Standard deviation of the scanner's point spread: nothing in the picture is sharper than this. */
const POINT_SPREAD = 0.92;
/** Grain of the lesion's texture, as the standard deviation of the blur of white noise. */
const GRAIN = 1.55;
/** Tissues stay below this share of the lesion's signal, so that every lesion can be seen. */
const BRIGHTEST_TISSUE = 0.78;

interface Ellipse {
  y: number;
  x: number;
  semiY: number;
  semiX: number;
  cos: number;
  sin: number;
}

/** What is common to all slices of a patient. */
export interface PhantomPatient {
  body: Ellipse;
  /** Tissue intensities without noise, [size, size]. */
  anatomy: Float32Array;
  /** Receiver gain: scales distractors and lesion. */
  gain: number;
  lesionLevel: number;
  /** Scale of the Rayleigh noise. */
  noise: number;
}

/** One drawn slice: `image` and `mask` are [size, size]; the mask is 1 inside the lesion. */
export interface PhantomSlice {
  image: Uint8Array<ArrayBuffer>;
  mask: Uint8Array<ArrayBuffer>;
}

function ellipse(y: number, x: number, semiY: number, semiX: number, angle: number): Ellipse {
  return { y, x, semiY, semiX, cos: Math.cos(angle), sin: Math.sin(angle) };
}

/** Share of the pixel (y, x) that lies in an ellipse whose rim is a logistic step of the given width. */
function softInside(e: Ellipse, y: number, x: number, rim: number): number {
  const dy = y - e.y;
  const dx = x - e.x;
  const v = (dy * e.cos - dx * e.sin) / e.semiY;
  const u = (dy * e.sin + dx * e.cos) / e.semiX;
  const depth = (1 - Math.sqrt(u * u + v * v)) * Math.sqrt(e.semiY * e.semiX);
  return 1 / (1 + Math.exp(-depth / rim));
}

/** Draws a patient: body outline, three to six overlapping tissues, gain and noise level. */
export function drawPatient(random: Random, size: number): PhantomPatient {
  const unit = size / REFERENCE_SIZE;
  const centre = (): number => (48 + random.uniform(-5, 5)) * unit;
  const body = ellipse(
    centre(),
    centre(),
    random.uniform(30, 41) * unit,
    random.uniform(37, 43) * unit,
    random.uniform(-0.15, 0.15),
  );
  const gain = random.uniform(0.83, 1.17);
  // The lesion's signal is the patient's, not relative to what it lies on: its contrast varies with its place.
  const lesionLevel = random.uniform(122, 150) * gain;
  const base = random.uniform(50, 90) * gain;
  const tissues = Array.from({ length: 3 + random.below(4) }, () => {
    const [y, x] = pointInside(body, 0.7, random);
    const angle = random.uniform(0, Math.PI);
    const shape = ellipse(y, x, random.uniform(8, 20) * unit, random.uniform(8, 20) * unit, angle);
    const contrast = random.uniform(-23, 32) * gain;
    return { shape, contrast, rim: random.uniform(0.8, 2.2) * unit };
  });

  const anatomy = new Float32Array(size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let value = base;
      for (const t of tissues) value += t.contrast * softInside(t.shape, y, x, t.rim);
      const tissue = Math.min(Math.max(value, 20), BRIGHTEST_TISSUE * lesionLevel);
      anatomy[y * size + x] = tissue * softInside(body, y, x, 1.6 * unit);
    }
  }
  return { body, anatomy, gain, lesionLevel, noise: random.uniform(4, 8.8) };
}

/** A uniformly distributed point of an ellipse shrunk to `share` of its size: [y, x]. */
function pointInside(e: Ellipse, share: number, random: Random): [number, number] {
  const radius = share * Math.sqrt(random.next());
  const angle = random.uniform(0, 2 * Math.PI);
  return [e.y + radius * Math.sin(angle) * e.semiY, e.x + radius * Math.cos(angle) * e.semiX];
}

/** Draws one slice of a patient, with a lesion when `positive`. */
export function drawSlice(
  patient: PhantomPatient,
  positive: boolean,
  random: Random,
  size: number,
): PhantomSlice {
  const unit = size / REFERENCE_SIZE;
  const scene = Float32Array.from(patient.anatomy);
  addDistractors(scene, patient, random, size);

  const mask = new Uint8Array(size * size);
  if (positive) {
    lesionMask(mask, patient.body, random, size);
    // The lesion lies over anatomy and distractors: its brightness is its own.
    const cover = blur(Float32Array.from(mask), size, POINT_SPREAD * unit);
    const grain = texture(random, size, GRAIN * unit);
    for (let i = 0; i < scene.length; i++) {
      const alpha = cover[i]!;
      if (alpha > 0) {
        const lesion = patient.lesionLevel + 13.4 * patient.gain * grain[i]!;
        scene[i] = (1 - alpha) * scene[i]! + alpha * lesion;
      }
    }
  }

  const image = new Uint8Array(size * size);
  for (let i = 0; i < image.length; i++) {
    // Magnitude noise is never negative, so the air around the body is not black either.
    const noise = patient.noise * Math.sqrt(-2 * Math.log(1 - random.uint32() / 2 ** 32));
    image[i] = Math.min(255, scene[i]! + noise);
  }
  return { image, mask };
}

/** Adds a thin ring and two to five dots: as bright as a lesion, but of another shape, in every slice. */
function addDistractors(scene: Float32Array, patient: PhantomPatient, random: Random, size: number): void {
  const unit = size / REFERENCE_SIZE;
  const peak = 93 * patient.gain;
  const width = POINT_SPREAD * unit;
  const stamp = (y: number, x: number, radius: number): void => {
    const reach = radius + 4 * width;
    for (let row = Math.max(0, Math.ceil(y - reach)); row <= Math.min(size - 1, y + reach); row++) {
      for (let col = Math.max(0, Math.ceil(x - reach)); col <= Math.min(size - 1, x + reach); col++) {
        const offset = (Math.sqrt((row - y) ** 2 + (col - x) ** 2) - radius) / width;
        scene[row * size + col]! += peak * Math.exp(-0.5 * offset * offset);
      }
    }
  };
  stamp(...pointInside(patient.body, 0.55, random), random.uniform(5.5, 9.5) * unit);
  const dots = 2 + random.below(4);
  for (let i = 0; i < dots; i++) {
    const [y, x] = pointInside(patient.body, 0.82, random);
    stamp(Math.round(y), Math.round(x), 0);
  }
}

/** Sets the pixels of a lobed, elongated lesion of equivalent radius 6.6 to 14.8 to 1. */
function lesionMask(mask: Uint8Array, body: Ellipse, random: Random, size: number): void {
  const unit = size / REFERENCE_SIZE;
  const [cy, cx] = pointInside(body, 0.6, random);
  const radius = random.uniform(6.6, 14.8) * unit;
  const elongation = Math.exp(0.5 * random.uniform(0.1, 0.8));
  const tilt = random.uniform(0, Math.PI);
  const lobes = [
    { order: 3, depth: 0.1, phase: random.uniform(0, 2 * Math.PI) },
    { order: 4, depth: random.uniform(0, 0.06), phase: random.uniform(0, 2 * Math.PI) },
  ];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const u = ((x - cx) * Math.cos(tilt) + (y - cy) * Math.sin(tilt)) / elongation;
      const v = ((y - cy) * Math.cos(tilt) - (x - cx) * Math.sin(tilt)) * elongation;
      const distance = Math.sqrt(u * u + v * v);
      if (distance > 1.25 * radius) continue;
      // Lobes follow the angle in the picture: in the ellipse's own frame its tips would become spikes.
      const angle = Math.atan2(y - cy, x - cx);
      let rim = radius;
      for (const { order, depth, phase } of lobes) rim += radius * depth * Math.cos(order * angle + phase);
      if (distance <= rim) mask[y * size + x] = 1;
    }
  }
}
