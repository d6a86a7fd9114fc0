/** Modules that define datasets: what they may say, and how each fault is worded. test/e2e/plug-in.test.ts trains with one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { isModulePath, loadDatasetModule, loadedModules } from '../../src/datasets/plug-in.js';
import { datasetNames, getDataset } from '../../src/datasets/registry.js';

const folder = mkdtempSync(join(tmpdir(), 'afa-plug-in-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');

let count = 0;
/** A new file each time: a module is loaded once. */
function module(text: string): string {
  const path = join(folder, `set-${count++}.js`);
  writeFileSync(path, text);
  return path;
}

it.each([
  ['lasc', false],
  ['./my-dataset.js', true],
  ['sets/mine.mjs', true],
  ['mine.cjs', true],
  ['mine.json', false],
])('%s is a module: %s', (dataset, expected) => expect(isModulePath(dataset)).toBe(expected));

describe('a module of facts', () => {
  it('registers medical slices, once, and is remembered for worker threads', async () => {
    const path = module("export default { name: 'facts', title: 'Facts', sliceSplit: [0, 1] };");
    expect(await loadDatasetModule(path)).toBe('facts');
    expect(await loadDatasetModule(path)).toBe('facts');
    expect(datasetNames().filter((name) => name === 'facts')).toHaveLength(1);
    expect(getDataset('facts').title).toBe('Facts');
    expect(loadedModules()).toContain(pathToFileURL(path).href);
  });
});

describe('refused', () => {
  it.each([
    ['export const x = 1;', /received a module without one\. Let it `export default \{ name/],
    ['export default 5;', /Expected an object with name, title, .* but received number 5/],
    ["export default { title: 'T', sliceSplit: [0, 6] };", /for name but received nothing/],
    ["export default { name: 'a/b', title: 'T' };", /for name but received string 'a\/b'/],
    ["export default { name: 'mine', sliceSplit: [0, 6] };", /for title but received nothing/],
    [
      "export default { name: 'mine', title: 'T', sliceSplit: [6, 6] };",
      /sliceSplit.*received an array of 2/,
    ],
    [
      "export default { name: 'lasc', title: 'T', sliceSplit: [0, 6] };",
      /'lasc', which is taken by 'LASC, MRI/,
    ],
    ["import 'medical-afa';", /imports 'medical-afa', which its folder does not have\. Export/],
    ["throw new Error('No luck today.');", /Cannot load the dataset .*: No luck today\./],
  ])('%s', async (text, message) => {
    const path = module(text);
    const before = [loadedModules(), datasetNames()];
    await expect(loadDatasetModule(path)).rejects.toThrow(message);
    await expect(loadDatasetModule(path)).rejects.toThrow(path);
    expect([loadedModules(), datasetNames()]).toEqual(before);
  });

  it('a module that is not there', () =>
    expect(loadDatasetModule('none.js')).rejects.toThrow('there is no file none.js'));
});
