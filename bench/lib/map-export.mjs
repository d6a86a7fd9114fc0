// Maps from the slices' files to the heatmaps', as `npm run gen-attn` exports them.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../dist/config/load.js';
import { exportAttentionMaps } from '../../dist/export/attention-maps.js';
import { FinishedMaps } from '../../dist/export/finished-maps.js';
import { writeNpy } from '../../dist/io/npy.js';
import { createEvalLoader } from '../../dist/loading/loader.js';

/** Slices of side x side and an export of them; remove() deletes all of it. */
export function mapExport({ model, device, side, images, batch = 1 }) {
  const folder = mkdtempSync(join(tmpdir(), 'afa-bench-export-'));
  const slices = join(folder, 'imageSlice');
  mkdirSync(slices);
  const names = Array.from({ length: images }, (_, i) => `P_${String(i).padStart(6, '0')}_1`);
  // The splits' last index is not one of them.
  for (const [i, name] of [...names, `P_${String(images).padStart(6, '0')}_1`].entries())
    writeNpy(join(slices, `${name}.npy`), {
      dtype: 'uint8',
      shape: [side, side],
      data: Uint8Array.from(
        { length: side * side },
        (_, p) => 128 + 90 * Math.sin(p / 37) * Math.sin(p / 9000 + i),
      ),
    });
  const { config } = loadConfig({
    dataset: 'lasc',
    set: [`dataset.root_dir=${slices}`, `dataset.slice_split=[0, ${images}]`, `val.batch_size=${batch}`],
  });
  const folders = { outputDir: join(folder, 'maps'), camNpyDir: join(folder, 'npy') };
  for (const path of Object.values(folders)) mkdirSync(path);

  return {
    names,
    finished: () => new FinishedMaps(folders, 'bench', false),
    /**
     * @param warmup batches that are not counted: starting workers, warming caches and capturing graphs is no map's
     * @returns seconds a map
     */
    async run(warmup = 1) {
      const finished = this.finished();
      const loader = createEvalLoader(config, 'val', { skip: (name) => finished.has(name) });
      let batches = 0;
      let first;
      const onProgress = (done) => {
        batches += 1;
        if (batches === warmup) first = { done, time: performance.now() };
      };
      const settings = { ...folders, device, scales: [1, 0.5, 1.5], finished };
      await exportAttentionMaps(model, loader, { ...settings, onProgress });
      const end = performance.now();
      await loader.close();
      return (end - first.time) / 1000 / (images - first.done);
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}
