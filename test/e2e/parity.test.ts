/** The parity command's choice of device. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { deviceAvailable } from '../../src/tensor/index.js';
import { Workplace } from './workplace.js';

const FIXTURE = fileURLToPath(new URL('../fixtures/model/hf_mit_b0_96.safetensors', import.meta.url));
const parity = (...args: string[]) => new Workplace().start('parity.js', [FIXTURE, ...args]).ended;

describe('parity', () => {
  it.each([[[]], [['--cpu']], [['--device', 'cpu']]])('computes on the CPU with %j', async (args) => {
    const { code, stdout, stderr } = await parity(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
  });

  it.skipIf(deviceAvailable('cuda')).each([[['--cuda']], [['--device', 'cuda']]])(
    'refuses %j without a GPU, with the reason',
    async (args) => {
      const { code, stdout, stderr } = await parity(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^Error: Expected device 'cuda' but .*(CUDA|GPU|driver).*, or use --cpu\.\n$/);
    },
  );

  it('refuses two devices, and ones that it does not know', async () => {
    const [two, unknown] = await Promise.all([parity('--cpu', '--cuda'), parity('--device', 'tpu')]);
    expect({ code: two.code, stdout: two.stdout }).toEqual({ code: 2, stdout: '' });
    expect(two.stderr).toMatch(/'--(cpu|cuda)' cannot be used with option '--(cpu|cuda)'/);
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 2, stdout: '' });
    expect(unknown.stderr).toMatch(/cpu, cuda or mps for --device but received string 'tpu'/);
  });
});
