import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/config/errors.js';
import { requireGpuForEach, requireGradientBackend } from '../../src/training/join-team.js';

describe('processes that train together on GPUs', () => {
  it.each(['cuda', 'cuda:1'] as const)('cannot exchange gradients of %s by gloo', (device) => {
    expect(() => requireGradientBackend(device, 'gloo')).toThrow(UsageError);
    expect(() => requireGradientBackend(device, 'gloo')).toThrow(/--backend nccl .* received gloo.*--cpu/);
    expect(() => requireGradientBackend(device, 'nccl')).not.toThrow();
    expect(() => requireGradientBackend(device, undefined)).not.toThrow();
  });

  it('exchange those of the CPU by gloo', () => {
    expect(() => requireGradientBackend('cpu', 'gloo')).not.toThrow();
  });

  it('have a GPU each', () => {
    expect(() => requireGpuForEach(3, 2)).toThrow(/at most 2.*received 3.*--accumulate/);
    for (const gpus of [3, 8, undefined]) expect(() => requireGpuForEach(3, gpus)).not.toThrow();
  });
});
