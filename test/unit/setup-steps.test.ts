// What makes a step of set-up run again, and what it says when the system lacks something.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { count } from '../../.ci/count.mjs';
import { addonFault, addonPath, addonStamp, parallelJobs } from '../../scripts/lib/build-addon.mjs';
import { typescriptFault } from '../../scripts/lib/build-typescript.mjs';
import { nodeDepsFault } from '../../scripts/lib/node-deps.mjs';
import { hashInputs, readStamp, writeStamp } from '../../scripts/lib/stamp.mjs';
import { installCommand, isAtLeast, nodeFault, systemFamily, toolFault } from '../../scripts/lib/tools.mjs';
import type { Candidate } from '../../scripts/libtorch.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'afa-setup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, content = ''): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), content);
}

describe('stamps', () => {
  it('depend on names, contents and facts, and not on times', () => {
    write('native/a.cc', 'int a;');
    const hash = (facts = {}) => hashInputs(root, ['native', 'CMakeLists.txt'], facts);
    const first = hash();
    utimesSync(join(root, 'native/a.cc'), new Date(0), new Date(0));
    expect(hash()).toBe(first);
    expect(hash({ libtorch: '/other' })).not.toBe(first);
    write('native/nn/b.cc');
    const second = hash();
    expect(second).not.toBe(first);
    write('native/a.cc', 'int b;');
    expect(hash()).not.toBe(second);
  });

  it('cannot be confused by where one file ends and the next begins', () => {
    write('native/a.cc', 'xy');
    write('native/b.cc', 'z');
    const first = hashInputs(root, ['native'], {});
    write('native/a.cc', 'x');
    write('native/b.cc', 'yz');
    expect(hashInputs(root, ['native'], {})).not.toBe(first);
  });

  it('that are damaged count as missing', () => {
    write('stamp.json', '{"hash": ');
    expect(readStamp(join(root, 'stamp.json'))).toBeUndefined();
  });
});

describe('the addon', () => {
  const libtorch = (path: string) =>
    ({
      path,
      ok: true,
      version: '2.13.0',
      flavour: 'cpu',
      source: 'project',
      what: '',
      explicit: false,
    }) as Candidate;

  it('is built when missing, changed or for another libtorch, and not otherwise', () => {
    write('package.json', '{}');
    for (const name of ['node-api-headers', 'node-addon-api']) {
      write(`node_modules/${name}/package.json`, '{"version": "1.0.0"}');
    }
    write('native/addon.cc', 'first');
    expect(addonFault(root, libtorch('/a'))).toBe('there is none yet');
    write('build/Release/medical_afa.node');
    expect(addonPath(root)).toBe(join(root, 'build/Release/medical_afa.node'));
    expect(addonFault(root, libtorch('/a'))).toBe('its origin is not known');
    writeStamp(join(root, 'build/addon-stamp.json'), addonStamp(root, libtorch('/a')));
    expect(addonFault(root, libtorch('/a'))).toBeUndefined();
    expect(addonFault(root, libtorch('/b'))).toBe('it was built with the libtorch in /a');
    write('native/addon.cc', 'second');
    expect(addonFault(root, libtorch('/a'))).toBe('its sources or settings have changed');
  });

  it('is compiled by as many jobs as the environment says', () => {
    const before = process.env.CMAKE_BUILD_PARALLEL_LEVEL;
    process.env.CMAKE_BUILD_PARALLEL_LEVEL = '3';
    expect(parallelJobs()).toBe(3);
    delete process.env.CMAKE_BUILD_PARALLEL_LEVEL;
    expect(parallelJobs()).toBeGreaterThanOrEqual(1);
    if (before !== undefined) process.env.CMAKE_BUILD_PARALLEL_LEVEL = before;
  });
});

describe('node_modules', () => {
  const lock = (packages: object) => JSON.stringify({ packages: { '': {}, ...packages } });

  it('is left alone exactly when it is what the lockfile says', () => {
    expect(nodeDepsFault(root)).toBeUndefined(); // no lockfile: an installed package
    write(
      'package-lock.json',
      lock({
        'node_modules/a': { version: '1.0.0' },
        'node_modules/win': { version: '1.0.0', optional: true },
      }),
    );
    expect(nodeDepsFault(root)).toBe('node_modules is missing');
    write('node_modules/.package-lock.json', lock({ 'node_modules/a': { version: '1.0.0' } }));
    expect(nodeDepsFault(root)).toBe('node_modules/a is incomplete');
    write('node_modules/a/package.json', '{}');
    expect(nodeDepsFault(root)).toBeUndefined();
    write('node_modules/.package-lock.json', lock({ 'node_modules/a': { version: '0.9.0' } }));
    expect(nodeDepsFault(root)).toBe('node_modules/a is not 1.0.0');
  });
});

describe('package-lock.json', () => {
  const file = fileURLToPath(new URL('../../package-lock.json', import.meta.url));
  const { packages } = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, LockEntry> };
  type LockEntry = { resolved?: string; dependencies?: object; optionalDependencies?: object };

  // A registry that lacks another platform's binary makes `npm install` leave its entry out, and `npm ci` refuse.
  it('has an entry for every dependency, also those of other platforms', () => {
    const present = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')));
    const wanted = Object.values(packages).flatMap((entry) =>
      Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }),
    );
    expect(wanted.filter((name) => !present.has(name))).toEqual([]);
  });

  it('names no address to download from', () => {
    expect(Object.values(packages).filter((entry) => entry.resolved)).toEqual([]);
  });
});

describe('dist', () => {
  it('is compiled when a source changed or an output is missing', () => {
    write('src/a.ts', 'export {};');
    expect(typescriptFault(root)).toBe(`${join('dist', 'a.js')} is missing`);
    write('dist/a.js');
    expect(typescriptFault(root)).toBe('sources have changed');
    writeStamp(join(root, 'dist/.stamp.json'), {
      hash: hashInputs(root, ['tsconfig.json', 'src'], { typescript: undefined }),
    });
    expect(typescriptFault(root)).toBeUndefined();
    write('src/a.ts', 'export const a = 1;');
    expect(typescriptFault(root)).toBe('sources have changed');
  });
});

describe('tools', () => {
  // ID and ID_LIKE as the distributions' /etc/os-release have them.
  it.each([
    ['ID=debian\n', 'debian'],
    ['NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', 'debian'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'fedora'],
    ['ID=manjaro\nID_LIKE=arch\n', 'arch'],
    ['ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', 'suse'],
    ['ID=alpine\n', 'unknown'],
  ] as const)('system of %j is %s', (text, family) => {
    expect(systemFamily(text, 'linux')).toBe(family);
  });

  it.each([
    ['debian', true, 'apt-get install -y g++ cmake'],
    ['debian', false, 'sudo apt-get install -y g++ cmake'],
    ['fedora', true, 'dnf install -y gcc-c++ cmake'],
    ['macos', false, 'xcode-select --install && brew install cmake'],
  ] as const)('on %s (root: %s) come by: %s', (family, isRoot, command) => {
    expect(installCommand(['compiler', 'cmake'], family, isRoot)).toBe(command);
  });

  it('that are missing are named together with one command', () => {
    const text = toolFault([
      { name: 'compiler', ok: false, value: 'no C++ compiler' },
      { name: 'cmake', ok: true, value: '3.25.1' },
      { name: 'pip', ok: false, value: 'python3 has no pip' },
    ]);
    expect(text).toContain('no C++ compiler, python3 has no pip');
    expect(text).toContain(installCommand(['compiler', 'pip']));
    expect(toolFault([{ name: 'cmake', ok: true, value: '3.25.1' }])).toBeUndefined();
  });

  it('versions compare as numbers', () => {
    expect(isAtLeast('3.9.1', [3, 18])).toBe(false);
    expect(isAtLeast('4.0', [3, 18])).toBe(true);
    expect(nodeFault('18.20.0')).toMatch(/^Expected Node 20\.9 or newer but this is 18\.20\.0/);
    expect(nodeFault('20.9.0')).toBeUndefined();
  });
});

describe('the count of .ci/run', () => {
  const ended = (code: number, demo: number, report?: object) => {
    write('test-code', `${code}\n`);
    write('demo-code', `${demo}\n`);
    if (report) write('vitest.json', JSON.stringify(report));
    return count(root);
  };
  const file = (status: string, ...tests: string[]) => ({
    status,
    assertionResults: tests.map((t) => ({ status: t })),
  });

  it('adds the demo to the tests, and faults outside any test', () => {
    expect(ended(1, 0)).toEqual({ passed: 1, failed: 1 }); // lint failed: no report
    const passing = { numPassedTests: 5, numFailedTests: 0, testResults: [file('passed', 'passed')] };
    expect(ended(0, 0, passing)).toEqual({ passed: 6, failed: 0 });
    expect(ended(0, 1, passing)).toEqual({ passed: 5, failed: 1 });
    expect(ended(1, 0, passing)).toEqual({ passed: 6, failed: 1 });
    const broken = {
      numPassedTests: 5,
      numFailedTests: 1,
      testResults: [file('failed', 'failed'), file('failed')],
    };
    expect(ended(1, 0, broken)).toEqual({ passed: 6, failed: 2 });
  });
});

it('package.json and the set-up agree on where things are', () => {
  const manifest = JSON.parse(
    readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8'),
  );
  expect(manifest.scripts.install).toBe('node scripts/install.mjs');
  expect(manifest.files).toEqual(
    expect.arrayContaining(['scripts', 'native', 'CMakeLists.txt', 'binding.gyp']),
  );
  expect(manifest.binary.napi_versions).toEqual([8]); // what makes cmake-js use node-api-headers
});
