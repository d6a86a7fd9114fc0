/** Which Python the cross-checks take: one that can import what they need, not one that only has folders of its name. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findPython } from '../oracles/python.js';

const root = mkdtempSync(join(tmpdir(), 'afa-oracle-'));
const said: string[] = [];
beforeAll(() => {
  mkdirSync(join(root, 'afa_empty', 'lib'), { recursive: true });
  for (const [name, code] of [
    ['afa_whole', ''],
    ['afa_broken', 'import afa_absent_part'],
  ] as const) {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, '__init__.py'), code);
  }
  vi.stubEnv('PYTHONPATH', root);
  vi.spyOn(console, 'info').mockImplementation((text: string) => said.push(text));
});
afterAll(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

describe.skipIf(!findPython([]))('findPython', () => {
  it('takes a Python that can import the modules', () => {
    expect(findPython(['afa_whole'])).toBeDefined();
  });

  it.each([
    ['afa_empty', 'afa_empty is an empty folder'],
    ['afa_broken', "No module named 'afa_absent_part'"],
    ['afa_missing', 'Skipped: no Python here has afa_missing'],
  ])('takes none for %s, and says why', (name, reason) => {
    expect(findPython([name])).toBeUndefined();
    expect(said.join('\n')).toContain(reason);
  });
});
