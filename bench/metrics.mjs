// npm run bench -- metrics [--json] [--slices N] [--patients N] [--replicates N]: seconds to measure the maps of many
// slices (224x224; CAM, refined CAM and label map) and to compute all scores with their intervals.
import { formatTable } from '../dist/export/table.js';
import { hashSeed, Random } from '../dist/loading/random.js';
import { evaluateCases, measureLabels, measureMap } from '../dist/metrics/index.js';
import { print, processFacts, say } from './lib/measuring.mjs';
import { atLeast, readOptions } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- metrics [--json] [--slices N] [--patients N] [--replicates N]

Seconds of measuring maps of 224x224 and of all scores with intervals (one CPU core).
Example: npm run -s bench -- metrics --slices 12000 --patients 300 --replicates 2000`;
const SIZE = 224;
const PIXELS = SIZE * SIZE;
const THRESHOLDS = { cam: '0.30', refined: '0.30' };

const options = readOptions('metrics', HELP, {
  slices: { value: '12000', read: atLeast(1) },
  patients: { value: '300', read: atLeast(1) },
  replicates: { value: '2000', read: atLeast(1) },
});
const random = new Random(hashSeed(1, 'bench metrics'));
const uniform = () => random.next();

/** A bump with texture, as a CAM looks, and a round object near it. */
function drawSlice(hasObject) {
  const [cy, cx] = [60 + 100 * uniform(), 60 + 100 * uniform()];
  const [dy, dx] = [8 * uniform(), 8 * uniform()];
  const radius = 12 + 20 * uniform();
  const map = new Float32Array(PIXELS);
  const mask = new Uint8Array(PIXELS);
  const labels = new Uint8Array(PIXELS);
  for (let i = 0; i < PIXELS; i++) {
    const [y, x] = [Math.floor(i / SIZE) - cy, (i % SIZE) - cx];
    const squared = y * y + x * x;
    map[i] = Math.exp(-squared / (2 * radius * radius)) * (0.9 + 0.1 * uniform());
    if (map[i] > 0.4) labels[i] = 1;
    if (hasObject && (y - dy) ** 2 + (x - dx) ** 2 < radius * radius) mask[i] = 1;
  }
  return { map, mask, labels };
}

/** Wall-clock seconds, and those that the processor worked: on a busy machine only the latter repeat. */
function timed(run) {
  const [start, cpuBefore] = [performance.now(), process.cpuUsage()];
  const value = run();
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  return { value, time: { seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 } };
}

/** A few dozen different slices, measured again and again: drawing 12,000 would take longer than measuring. */
function makeCases() {
  const drawn = { 0: [], 1: [] };
  for (let i = 0; i < 20; i++) for (const label of [0, 1]) drawn[label].push(drawSlice(label === 1));
  return Array.from({ length: options.slices }, (_, i) => {
    const label = Number(uniform() < 0.6);
    const score = 1 / (1 + Math.exp(-(label ? 2 : -2) - 3 * (uniform() - 0.5)));
    const patient = `p${Math.floor((i * options.patients) / options.slices)}`;
    return { name: `s${i}`, patient, labels: [label], scores: [score], pixels: drawn[label][i % 20] };
  });
}

function measure({ pixels, ...rest }) {
  const { map, mask, labels } = pixels;
  const surface = { height: SIZE, width: SIZE, spacing: [0.9, 0.9] };
  const soft = { surface: { ...surface, thresholds: [THRESHOLDS.cam] } };
  const localisation = {
    cam: [measureMap(map, mask, soft)],
    refined: [measureMap(map, mask, soft)],
    seg: [measureLabels(labels, mask, { surface })],
  };
  return { ...rest, localisation };
}

say(`${options.slices} slices of ${options.patients} patients, ${options.replicates} replicates`);
const drawn = makeCases();
const measured = timed(() => drawn.map(measure));
say(`  measured: ${measured.time.seconds.toFixed(2)} s`);
const bootstrap = { random: uniform, replicates: options.replicates };
const scored = timed(() => evaluateCases(measured.value, { mapThresholds: THRESHOLDS, bootstrap }));
const plain = timed(() => evaluateCases(measured.value, { mapThresholds: THRESHOLDS }));

const result = {
  slices: options.slices,
  patients: options.patients,
  replicates: options.replicates,
  measuringMaps: measured.time,
  scoresWithIntervals: scored.time,
  scores: plain.time,
  ...processFacts(),
};
print(result, options.json, () => {
  const times = ({ seconds, cpuSeconds }) => [`${seconds.toFixed(2)} s`, `${cpuSeconds.toFixed(2)} s`];
  const rows = [
    ['', 'wall clock', 'processor'],
    ['three maps of every slice, HD95 at one threshold', ...times(result.measuringMaps)],
    ['all scores without intervals', ...times(result.scores)],
    ['all scores with intervals', ...times(result.scoresWithIntervals)],
    ['peak memory of this process', `${result.peakRssMb} MB`, ''],
  ];
  return formatTable(rows, { align: ['left', 'right', 'right'] });
});
