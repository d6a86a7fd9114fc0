/** Under Python's own torchrun: its agent holds the store, and its restarts must not meet the run before. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPython } from '../oracles/python.js';
import { freePort } from './ranks.js';

const python = findPython(['torch']);
const dist = new URL('../../dist/distributed/index.js', import.meta.url).href;
const tensors = new URL('../../dist/tensor/index.js', import.meta.url).href;

describe.skipIf(!python)('torchrun', () => {
  it.each([['--standalone'], ['--master_port']])(
    '%s starts ranks that find each other, also after a restart',
    async (how) => {
      const folder = await mkdtemp(join(tmpdir(), 'torchrun-'));
      const program = join(folder, 'rank.mjs');
      writeFileSync(
        program,
        `import { init, readEnvironment } from '${dist}';
       import { Tensor } from '${tensors}';
       const { rank, worldSize, store, launcher } = readEnvironment();
       const group = await init({ backend: 'gloo', store, rank, worldSize, timeout: 20000 });
       const sum = (await group.allReduce(Tensor.from([rank + 1]))).item();
       const attempt = Number(process.env.TORCHELASTIC_RESTART_COUNT);
       await group.barrier();
       if (attempt === 0) process.exit(rank === 0 ? 1 : 0);
       process.stdout.write(JSON.stringify({ launcher, rank, attempt, sum }) + '\\n');
       await group.destroy();`,
      );
      const place = how === '--standalone' ? [how] : [how, String(await freePort())];
      const flags = [
        '--no-python',
        '--nproc_per_node=2',
        '--max_restarts=1',
        '--monitor_interval=0.1',
        ...place,
      ];
      const child = spawn(python!, ['-m', 'torch.distributed.run', ...flags, process.execPath, program], {
        env: { ...process.env, OMP_NUM_THREADS: '1', NODE_OPTIONS: '' },
        timeout: 60_000,
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk) => {
        stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const code = await new Promise((resolve) => child.on('close', resolve));
      await rm(folder, { recursive: true });
      expect(code, stderr).toBe(0);
      const results = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(results.sort((a, b) => a.rank - b.rank)).toEqual([
        { launcher: 'torchrun', rank: 0, attempt: 1, sum: 3 },
        { launcher: 'torchrun', rank: 1, attempt: 1, sum: 3 },
      ]);
    },
  );
});
