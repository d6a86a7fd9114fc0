// npm run bench -- distributed [--json] [--processes N] [--runs N]: what training in several gloo processes gains on
// this machine, what an all-reduce of a given size takes, and how much of the gradients' way backward hides.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort } from '../dist/distributed/free-port.js';
import { formatTable } from '../dist/export/table.js';
import { machineFacts, print, processFacts, say } from './lib/measuring.mjs';
import { atLeast, RUNS, readOptions } from './lib/options.mjs';

const HELP = `Usage: npm run bench -- distributed [--json] [--processes N] [--runs N]

Throughput of N gloo processes of one thread each against one process of one thread on the same global batch
(mit_b1, crop 320, two images a process), all-reduce bandwidth by payload, and the share of communication that is
hidden behind backward. Example: npm run -s bench -- distributed --json`;

const options = readOptions('distributed', HELP, {
  processes: { value: '2', read: atLeast(2) },
  runs: RUNS('3'),
});

const worker = fileURLToPath(new URL('distributed-rank.mjs', import.meta.url));

/** Runs the worker on every rank; gives what rank 0 found. */
async function run(worldSize) {
  const port = String(await freePort(29800));
  const found = Array.from({ length: worldSize }, (_, rank) => {
    const place = { RANK: String(rank), WORLD_SIZE: String(worldSize), MASTER_PORT: port };
    const env = {
      ...process.env,
      ...place,
      OMP_NUM_THREADS: '1',
      RUNS: String(options.runs),
      IMAGES: String(2 * options.processes),
    };
    const child = spawn(process.execPath, [worker], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) =>
        code === 0 ? resolve(text) : reject(new Error(`rank ${rank} ended with ${code}`)),
      );
    });
  });
  return JSON.parse((await Promise.all(found))[0]);
}

say(`Measuring with 1 and ${options.processes} processes of one thread; this takes a few minutes`);
const one = await run(1);
const several = await run(options.processes);
const phases = Object.keys(one.seconds);
const speedups = Object.fromEntries(
  phases.map((phase) => [phase, one.seconds[phase] / several.seconds[phase]]),
);
const result = {
  processes: options.processes,
  machine: machineFacts(),
  speedup: speedups.affinity,
  speedups,
  secondsPerIteration: { one: one.seconds, several: several.seconds },
  allreduce: several.allreduce,
  overlap: several.overlap,
  communication: several.communication,
  ...processFacts(),
};
print(result, options.json, () => {
  const times = phases.map((phase) => [
    phase,
    `${one.seconds[phase].toFixed(2)} s`,
    `${several.seconds[phase].toFixed(2)} s`,
    `${speedups[phase].toFixed(2)} x`,
  ]);
  const header = ['iteration', '1 process', `${options.processes} processes`, 'speed-up'];
  const rows = several.allreduce.map(({ bytes, seconds, gbps }) => [
    `${(bytes / 1e6).toFixed(2)} MB`,
    `${(1000 * seconds).toFixed(1)} ms`,
    `${gbps.toFixed(1)} Gb/s`,
  ]);
  return [
    formatTable(times, { header, align: ['left', 'right', 'right', 'right'] }),
    formatTable(rows, { header: ['all-reduce', 'time', 'bandwidth'] }),
    `${(100 * result.overlap).toFixed(0)} % of the gradients' way is hidden behind backward`,
  ].join('\n\n');
});
