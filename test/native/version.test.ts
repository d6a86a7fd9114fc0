/** An addon that is older or newer than the JavaScript is known when it is loaded, by the functions that it has. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { addonLoadFault } from '../../scripts/lib/build-addon.mjs';
import { probeAddon } from '../../scripts/lib/probe-addon.mjs';
import { rebuildCommand } from '../../scripts/lib/rebuild.mjs';
import { takes } from '../../src/native/bindings/signature.js';
import { differences } from '../../src/native/bindings.js';
import { native } from '../../src/native/index.js';
import { runChild } from './support.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'afa-version-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loads the addon that was built here, as if it came from sources without normalizeBytes() and AdamW's last argument. */
const older = join(folder, 'older.cjs');
writeFileSync(
  older,
  `const load = require.extensions['.node'];
  require.extensions['.node'] = (module, file) => {
    load(module, file);
    if (!file.endsWith('medical_afa.node')) return;
    const { normalizeBytes, ...rest } = module.exports;
    module.exports = rest;
    Object.defineProperty(rest.adamwStep, 'length', { value: 10 });
  };`,
);
const NODE_OPTIONS = `--require ${older}`;
const DIFFERENCES = 'normalizeBytes() is missing, adamwStep() takes 10 arguments instead of 11.';

describe('the addon and the JavaScript of one version', () => {
  it('agree in every function and its number of arguments', () => {
    expect(differences(native)).toEqual([]);
    const declared = differences({}).map((text) => /^(\w+)\(\) is missing$/.exec(text)![1]!);
    // Windows has none of them.
    const unchecked = ['mapFile', 'unmapFile'].filter((name) => name in native);
    expect([...declared, ...unchecked].sort()).toEqual(Object.keys(native).sort());
  });
});

it('is declared with the right numbers of arguments, or does not compile', () => {
  type Linear = (input: number, weight: number, bias?: number) => number;
  expect(takes<Linear>(3)).toEqual({ count: 3 });
  // @ts-expect-error: optional arguments count
  takes<Linear>(2);
  // @ts-expect-error
  takes<Linear>(4);
});

describe('an addon of another version', () => {
  const expected = (file: string) =>
    `Reason: Expected an addon of the same version as the JavaScript but received ${file}: ${DIFFERENCES}\n`;

  it.each([
    ['a program that embeds the package', "await import('DIST/index.js');"],
    ['a command', "process.argv.push('--help'); await import('DIST/train.js');"],
    [
      'a worker thread',
      `import { Worker } from 'node:worker_threads';
      new Worker("import('DIST/native/index.js')", { eval: true });`,
    ],
  ])('is refused as it is loaded, by %s', async (_who, code) => {
    const { code: status, stdout, stderr } = await runChild(code, { env: { NODE_OPTIONS } });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(
      `${expected(join(root, 'build/Release/medical_afa.node'))}Run \`npm run setup\` in`,
    );
  });

  it.each([
    ['a checkout', ['src'], 'npm run setup'],
    ['the offline bundle', ['src', 'bundle/bundle.json'], 'bundle/setup.sh --no-tests'],
    ['an installed package', ['dist'], 'npm rebuild medical-afa --foreground-scripts'],
  ])('is built again, in %s, by a command that it has', (name, paths, command) => {
    const place = join(folder, name);
    for (const path of paths) mkdirSync(join(place, path), { recursive: true });
    expect(rebuildCommand(place)).toBe(command);
  });

  it('is named where MEDICAL_AFA_PREBUILD leads to it', async () => {
    const place = join(folder, 'prebuilt');
    mkdirSync(join(place, 'build/Release'), { recursive: true });
    symlinkSync(join(root, 'build/Release/medical_afa.node'), join(place, 'build/Release/medical_afa.node'));
    const env = { NODE_OPTIONS, MEDICAL_AFA_PREBUILD: place };
    const { code, stderr } = await runChild("await import('DIST/index.js');", { env });
    expect(code).toBe(1);
    expect(stderr).toContain(
      `${expected(join(place, 'build/Release/medical_afa.node'))}It was looked for in MEDICAL_AFA_PREBUILD=${place}; unset`,
    );
  });

  it('is a fault for doctor, and for the install hook of a package', () => {
    const before = process.env.NODE_OPTIONS;
    process.env.NODE_OPTIONS = NODE_OPTIONS;
    try {
      expect(probeAddon(root).probe?.differences).toEqual(DIFFERENCES.slice(0, -1).split(', '));
      const installed = join(folder, 'installed');
      mkdirSync(installed);
      for (const name of ['build', 'dist', 'node_modules', 'scripts', 'package.json'])
        symlinkSync(join(root, name), join(installed, name));
      // In a checkout the addon is built before the TypeScript that is to fit it.
      expect(addonLoadFault(root)).toBeUndefined();
      expect(addonLoadFault(installed)).toContain(DIFFERENCES);
    } finally {
      if (before === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = before;
    }
  });
});
