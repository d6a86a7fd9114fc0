// One process of bench/distributed.mjs: seconds of an iteration of each phase on its share of the global batch, of
// all-reduces by payload, and the share of communication that backward hides. Rank 0 prints JSON.
import { Ddp, init } from '../dist/distributed/index.js';
import { scope, setNumThreads, Tensor } from '../dist/tensor/index.js';
import { median } from './lib/measuring.mjs';
import * as workloads from './workloads.mjs';

const [rank, size, runs, images] = ['RANK', 'WORLD_SIZE', 'RUNS', 'IMAGES'].map((name) =>
  Number(process.env[name]),
);
setNumThreads(1);
const store = { host: '127.0.0.1', port: Number(process.env.MASTER_PORT) };
const group = size > 1 ? await init({ backend: 'gloo', store, rank, worldSize: size }) : undefined;

/** Steps with and without communication that are compared. */
const PAIRS = 15;

/** Median seconds, all ranks starting together, after one warm-up. */
async function time(work, count = runs) {
  const seconds = [];
  for (let i = 0; i <= count; i++) {
    await group?.barrier();
    const start = performance.now();
    await work();
    if (i > 0) seconds.push((performance.now() - start) / 1000);
  }
  return median(seconds);
}

const training = workloads.training(images / size);
const ddp = group && (await Ddp.create(training.model, group));
const seconds = {};
for (const phase of ['cls', 'cam', 'affinity']) seconds[phase] = await time(() => training.step(phase, ddp));

const result = { seconds };
if (group) {
  result.allreduce = [];
  for (const bytes of [64e3, 1e6, 16e6, 55e6]) {
    const tensor = Tensor.zeros([bytes / 4]);
    const took = await time(async () => (await group.allReduce(tensor)).dispose(), 2 * runs);
    result.allreduce.push({ bytes, seconds: took, gbps: (8 * bytes) / took / 1e9 });
    tensor.dispose();
  }
  // The same step with its gradients kept at home tells what communication adds; the gradients alone, what it costs.
  const parameters = [...training.model.trainableFor({ cls: true }).values()];
  const bytes = parameters.reduce((sum, parameter) => sum + 4 * parameter.numel, 0);
  const gradients = Tensor.zeros([bytes / 4]);
  const alone = await time(async () => (await group.allReduce(gradients)).dispose(), 2 * runs);
  const input = Tensor.randn([images / size, 3, 320, 320]);
  const labels = Tensor.ones([images / size, 1]);
  const backward = async (sync) => {
    await group.barrier();
    const start = performance.now();
    scope(() => {
      const { cls } = training.model.forward(input, { cls: true });
      ddp.backward(cls.binaryCrossEntropyWithLogits(labels), { cls: true }, { sync });
    });
    const took = (performance.now() - start) / 1000;
    for (const parameter of parameters) parameter.clearGrad();
    return took;
  };
  await backward(true);
  // In turns, because what is looked for is small against the drift of a shared machine.
  const added = [];
  for (let i = 0; i < PAIRS; i++) {
    const local = await backward(false);
    added.push((await backward(true)) - local);
  }
  result.overlap = Math.min(1, Math.max(0, 1 - median(added) / alone));
  result.communication = { bytes, alone, added: median(added), of: added };
}
if (rank === 0) process.stdout.write(JSON.stringify(result));
await ddp?.dispose();
await group?.destroy();
process.exit();
