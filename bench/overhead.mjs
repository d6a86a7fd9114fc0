// npm run bench -- overhead: what a call from JavaScript costs: an operation on four elements, so small that the call is
// all there is, beside Python's; what a scope adds; reading properties; typed arrays in and out.
import { formatTable } from '../dist/export/table.js';
import { scope, setNumThreads, Tensor } from '../dist/tensor/index.js';
import { machineFacts, median, print, processFacts, say, spread } from './lib/measuring.mjs';
import { atLeast, readOptions } from './lib/options.mjs';
import { startPython } from './lib/python-torch.mjs';

const HELP = `Usage: npm run bench -- overhead [--json] [--rounds N]

Nanoseconds of a small call from JavaScript, and of the same in Python where there is a PyTorch (AFA_ORACLE_PYTHON names
one; \`node test/oracles/setup.mjs\` makes one). Both are asked in turns, so that a busy machine slows both; medians of
N rounds (501).`;

const options = readOptions('overhead', HELP, { rounds: { value: '501', read: atLeast(3) } });
setNumThreads(1);
const a = Tensor.from([1, 2, 3, 4]);
const b = Tensor.from([1, 2, 3, 4]);
const c = Tensor.zeros([4]);
const small = new Float32Array(4).fill(1);
const large = new Float32Array(65536).fill(1);

function add(count) {
  for (let i = 0; i < count; i++) a.add(b).dispose();
}

const scopeOf = (size) => (count) => {
  for (let i = 0; i < count; i += size)
    scope(() => {
      for (let k = 0; k < size; k++) a.add(b);
    });
};

function roundTrip(array) {
  return (count) => {
    for (let i = 0; i < count; i++) {
      const tensor = Tensor.from(array);
      tensor.data();
      tensor.dispose();
    }
  };
}

/** Operations by name, and how many make a round: a fraction of a millisecond, which others' work seldom falls into. */
const OPERATIONS = {
  add: [add, 200],
  // What a `using` declaration is compiled to.
  addUsing: [
    (count) => {
      for (let i = 0; i < count; i++) {
        const sum = a.add(b);
        try {
        } finally {
          sum[Symbol.dispose]();
        }
      }
    },
    200,
  ],
  scope1: [scopeOf(1), 200],
  scope10: [scopeOf(10), 200],
  scope100: [scopeOf(100), 200],
  addInPlace: [
    (count) => {
      for (let i = 0; i < count; i++) c.add_(b);
    },
    200,
  ],
  shape: [
    (count) => {
      for (let i = 0; i < count; i++) a.shape;
    },
    5000,
  ],
  dtype: [
    (count) => {
      for (let i = 0; i < count; i++) a.dtype;
    },
    2000,
  ],
  roundTrip: [roundTrip(small), 100],
  roundTripLarge: [roundTrip(large), 5],
};

function nanoseconds(run, count) {
  const start = performance.now();
  run(count);
  return ((performance.now() - start) * 1e6) / count;
}

/** Lets finalizers run between rounds, as an event loop does between a program's steps. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

const python = await startPython();
if (!python)
  say('No Python with PyTorch here: `node test/oracles/setup.mjs` makes one. Measuring JavaScript alone.');
say(`Measuring ${options.rounds} rounds of ${Object.keys(OPERATIONS).length} operations`);
const names = Object.keys(OPERATIONS);
const node = Object.fromEntries(names.map((name) => [name, []]));
const py = Object.fromEntries(names.map((name) => [name, []]));
const PYTHON_HAS = ['add', 'addInPlace', 'shape', 'dtype', 'roundTrip', 'roundTripLarge'];
// The first rounds compile the loops.
for (let round = -50; round < options.rounds; round++) {
  for (const name of PYTHON_HAS) {
    const took = await python?.measure(name, OPERATIONS[name][1]);
    if (round >= 0 && took !== undefined) py[name].push(took);
  }
  for (const name of names) {
    const [run, count] = OPERATIONS[name];
    // Awake again after waiting for Python.
    if (name === 'add') run(count);
    const took = nanoseconds(run, count);
    if (round >= 0) node[name].push(took);
  }
  await turn();
}
python?.stop();

/** Medians of both, and the median of the ratios of pairs measured one right after the other. */
function compared(name) {
  const own = spread(node[name]);
  const entry = { nanoseconds: own.median, quartiles: own.quartiles };
  if (py[name].length === 0) return entry;
  const other = spread(py[name]);
  const ratio = median(node[name].map((value, i) => value / py[name][i]));
  return { ...entry, python: { nanoseconds: other.median, quartiles: other.quartiles }, ratio };
}

/** What a scope adds to the operations in it, as a share of what they take when each is disposed of by itself. */
const added = (name) => median(node[name].map((value, i) => value / node.add[i])) - 1;

const result = {
  machine: machineFacts(),
  rounds: options.rounds,
  python: python ? { torch: python.version } : null,
  operations: Object.fromEntries(names.map((name) => [name, compared(name)])),
  scopeShare: { of1: added('scope1'), of10: added('scope10'), of100: added('scope100') },
  ...processFacts(),
};

const TEXT = {
  add: 'a.add(b) of 4 elements, disposed of',
  addUsing: 'the same, as `using` disposes',
  scope1: 'the same, a scope around each',
  scope10: 'the same, a scope around 10',
  scope100: 'the same, a scope around 100',
  addInPlace: 'a.add_(b) of 4 elements',
  shape: 'shape, read again',
  dtype: 'dtype',
  roundTrip: 'typed array of 4 to a tensor and back',
  roundTripLarge: 'typed array of 65,536 to a tensor and back',
};

print(result, options.json, ({ operations, scopeShare }) => {
  const nano = (value) => (value === undefined ? '' : `${value.toFixed(value < 10 ? 1 : 0)} ns`);
  const rows = names.map((name) => {
    const { nanoseconds: own, python: other, ratio } = operations[name];
    return [
      TEXT[name],
      nano(own),
      nano(other?.nanoseconds),
      ratio === undefined ? '' : `${ratio.toFixed(2)} x`,
    ];
  });
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  return (
    `${formatTable(rows, { header: ['', 'medical-afa', 'PyTorch', 'ratio'], align: ['left', 'right', 'right', 'right'] })}\n\n` +
    `A scope adds ${percent(scopeShare.of1)} to one operation, ${percent(scopeShare.of10)} to 10, ${percent(scopeShare.of100)} to 100\n` +
    `(medians of ${result.rounds} rounds; load average ${result.loadAverage.toFixed(1)})`
  );
});
