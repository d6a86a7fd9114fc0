import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runParity } from '../../src/parity/run.js';
import { memory } from '../../src/tensor/index.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../fixtures/model/${name}.safetensors`, import.meta.url));

/** Entries that each fixture holds, counted from its files; a stage that silently does not run would lower it. */
const MODELS = [
  // 40 tensors and label maps, 6 loss numbers, 192 gradient norms, 8 loss/lr pairs, 2 x 192 parameter norms
  { name: 'binary_b1_128', entries: 630 },
  { name: 'local_b0_192', entries: 630 },
  { name: 'gap_b2_64', entries: 1106 },
  { name: 'nonsquare_b1_fwd', entries: 18 },
  { name: 'hf_mit_b0_96', entries: 4 },
];

describe('numbers of the original implementation (reference fixtures)', () => {
  it.each(MODELS)('$name agrees in every tensor, loss, gradient and optimizer step', ({ name, entries }) => {
    const report = runParity(fixture(name));
    const bad = Object.entries(report.tensors).filter(([, tensor]) => !tensor.ok);
    expect(bad).toEqual([]);
    expect(report.ok).toBe(true);
    expect(Object.keys(report.tensors)).toHaveLength(entries);
  });

  it('covers every expected tensor of the files', async () => {
    const { readSafetensors } = await import('../../src/io/safetensors.js');
    const given = ['images_u8', 'cls_labels', 'img_box', 'par.in'];
    for (const { name } of MODELS.slice(0, 4)) {
      const report = runParity(fixture(name));
      const names = [...readSafetensors(fixture(name)).keys()].filter((tensor) => !given.includes(tensor));
      expect(names.filter((tensor) => !(tensor in report.tensors))).toEqual([]);
    }
  });

  it('leaves no tensor behind but cached constants', () => {
    runParity(fixture('gap_b2_64'));
    const { liveTensors } = memory();
    runParity(fixture('gap_b2_64'));
    expect(memory().liveTensors).toBe(liveTensors);
  });

  it('fails where a number differs', async () => {
    const { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const folder = mkdtempSync(join(tmpdir(), 'afa-parity-'));
    try {
      const source = fixture('gap_b2_64');
      copyFileSync(source, join(folder, 'changed.safetensors'));
      const facts = JSON.parse(readFileSync(source.replace('.safetensors', '.json'), 'utf8'));
      facts.grad_l2['classifier.weight'] *= 1.001;
      writeFileSync(join(folder, 'changed.json'), JSON.stringify(facts));
      const report = runParity(join(folder, 'changed.safetensors'));
      expect(report.ok).toBe(false);
      expect(report.worst.name).toBe('grad_l2.classifier.weight');
      expect(report.worst.rel).toBeCloseTo(0.001, 5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
