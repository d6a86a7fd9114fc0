/** Which phase an iteration is in. Source: `n_iter <= cam_iters` and `n_iter > aff_label_switch_iter`, from 0. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Phase, phaseOf } from '../../src/training/schedule.js';

describe('phaseOf', () => {
  it.each<[number, number, number, Phase]>([
    [0, 0, 5, 'cls'],
    [0, 2, 5, 'cls'],
    [2, 2, 5, 'cls'],
    [3, 2, 5, 'cam'],
    [5, 2, 5, 'cam'],
    [6, 2, 5, 'affinity'],
    [1000, 2, 5, 'affinity'],
    // Seed document: 1000 and half of 10000.
    [1000, 1000, 5000, 'cls'],
    [1001, 1000, 5000, 'cam'],
    [5001, 1000, 5000, 'affinity'],
    // A switch before the maps begin: straight from classes to affinity.
    [10, 10, 5, 'cls'],
    [11, 10, 5, 'affinity'],
    [0, -1, 5, 'cam'],
  ])('iteration %i, cam_iters %i, switch %i: %s', (iteration, camIters, switchIter, phase) => {
    expect(phaseOf(iteration, camIters, switchIter)).toBe(phase);
  });

  it('never goes back, and each phase has the length its limits give', () => {
    const order: Phase[] = ['cls', 'cam', 'affinity'];
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), (camIters, switchIter) => {
        const phases = Array.from({ length: 100 }, (_, k) => phaseOf(k, camIters, switchIter));
        const ranks = phases.map((p) => order.indexOf(p));
        expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
        const count = (phase: Phase) => phases.filter((p) => p === phase).length;
        expect(count('cls')).toBe(camIters + 1);
        expect(count('cam')).toBe(Math.max(0, switchIter - camIters));
      }),
    );
  });
});
