// Discovery on made-up folders: the layouts are those of PyTorch's wheels, its libtorch zip and Debian's package.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectLibtorch } from '../../scripts/lib/inspect-libtorch.mjs';
import { explainSearch, findLibtorch, searchLibtorch } from '../../scripts/libtorch.mjs';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'afa-libtorch-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, content: string | Buffer = ''): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

/** First bytes of an ELF file; 62 is x86-64 and 183 AArch64 (System V ABI, e_machine). */
function elf(machine: number): Buffer {
  const head = Buffer.alloc(64);
  head.write('\x7fELF', 'latin1');
  head.writeUInt16LE(machine, 18);
  return head;
}

function headers(root: string, version: string): void {
  const [major, minor, patch] = version.split('.');
  const text = `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n#define TORCH_VERSION_PATCH ${patch}\n`;
  write(join(root, 'include/torch/headeronly/version.h'), text);
  write(join(root, 'include/torch/csrc/api/include/torch/torch.h'));
}

/** A wheel's `torch` folder for linux-x64. */
function wheel(root: string, version = '2.13.0+cpu'): string {
  write(join(root, 'lib/libtorch_cpu.so'), elf(62));
  headers(root, version.split('+')[0]!);
  write(join(root, 'version.py'), `__version__ = '${version}'\n`);
  return root;
}

const linux = { platform: 'linux', arch: 'x64' } as const;
const inspect = (root: string) => inspectLibtorch(root, linux);
// The search judges for the machine it runs on; the fakes above are for linux-x64.
const onLinux = process.platform === 'linux' && process.arch === 'x64';

describe('one folder', () => {
  it('is accepted as a wheel with its version, flavour, headers and libraries', () => {
    const root = wheel(join(folder, 'torch'));
    expect(inspect(root)).toEqual({
      path: root,
      ok: true,
      version: '2.13.0+cpu',
      flavour: 'cpu',
      include: [join(root, 'include'), join(root, 'include/torch/csrc/api/include')],
      lib: join(root, 'lib'),
    });
  });

  it('is accepted as an unpacked zip, whose version is in build-version', () => {
    const root = wheel(join(folder, 'libtorch'), '2.12.1');
    rmSync(join(root, 'version.py'));
    write(join(root, 'build-version'), '2.12.1+cpu\n');
    expect(inspect(root)).toMatchObject({ ok: true, version: '2.12.1+cpu' });
  });

  it("is accepted in Debian's layout, with libraries in a folder of the architecture", () => {
    headers(folder, '2.11.0');
    write(join(folder, 'lib/x86_64-linux-gnu/libtorch_cpu.so'), elf(62));
    expect(inspect(folder)).toMatchObject({
      ok: true,
      version: '2.11.0',
      lib: join(folder, 'lib/x86_64-linux-gnu'),
    });
  });

  it.each([
    ['2.10.9', false],
    ['2.11.0', true],
    ['2.15.0', true],
    ['2.14.0a0+0123abc.nv26.10', true], // NVIDIA's images
    ['2.16.0', false],
    ['1.13.1', false],
    ['3.12.0', false],
  ])('of version %s: accepted is %s', (version, ok) => {
    const verdict = inspect(wheel(join(folder, 'torch'), version));
    expect(verdict.ok).toBe(ok);
    if (!ok) expect(verdict.reason).toBe(`version ${version} is not supported (2.11 to 2.15 are)`);
  });

  it('is refused with its reason', () => {
    expect(inspect(join(folder, 'none')).reason).toBe('no such folder');
    mkdirSync(join(folder, 'empty'));
    expect(inspect(join(folder, 'empty')).reason).toBe('lib/libtorch_cpu.so is missing');

    const runtime = wheel(join(folder, 'runtime'));
    rmSync(join(runtime, 'include'), { recursive: true });
    expect(inspect(runtime).reason).toMatch(/^the C\+\+ headers are missing/);

    const arm = wheel(join(folder, 'arm'));
    write(join(arm, 'lib/libtorch_cpu.so'), elf(183));
    expect(inspect(arm).reason).toBe('libtorch_cpu.so is for arm64, and this Node runs on x64');

    const mac = join(folder, 'mac');
    write(join(mac, 'lib/libtorch_cpu.dylib'));
    expect(inspect(mac).reason).toContain('it is for another system (lib/libtorch_cpu.dylib');

    const mixed = wheel(join(folder, 'mixed'), '2.13.0');
    write(join(mixed, 'version.py'), "__version__ = '2.12.0'\n");
    expect(inspect(mixed).reason).toBe('its headers are of 2.13.0 but it says that it is 2.12.0');
  });

  it('that holds the right one says which', () => {
    wheel(join(folder, 'torch'));
    expect(inspect(folder)).toMatchObject({ ok: false, fix: `use ${join(folder, 'torch')}` });
  });

  it.runIf(onLinux)('with CUDA is refused when the loader lacks its libraries', () => {
    const root = wheel(join(folder, 'torch'), '2.13.0+cu130');
    write(join(root, 'lib/libtorch_cuda.so'), elf(62));
    // A loader that answers as ldd does; ldd itself needs a real library.
    write(join(folder, 'bin/ldd'), '#!/bin/sh\necho "	libcudart.so.13 => not found"\n');
    chmodSync(join(folder, 'bin/ldd'), 0o755);
    const path = process.env.PATH;
    process.env.PATH = `${join(folder, 'bin')}:${path}`;
    try {
      expect(inspect(root).reason).toBe('it is a CUDA build whose libraries are missing (libcudart.so.13)');
    } finally {
      process.env.PATH = path;
    }
  });
});

describe.runIf(onLinux)('the search', () => {
  const options = (env: NodeJS.ProcessEnv = {}) => ({
    env,
    root: folder,
    systemFolders: [join(folder, 'system')],
  });

  it('goes from LIBTORCH over the package’s own to the system', () => {
    expect(findLibtorch(options())).toBeUndefined();
    wheel(join(folder, 'system'));
    expect(findLibtorch(options())?.source).toBe('system');
    wheel(join(folder, '.libtorch/torch'));
    expect(findLibtorch(options())?.source).toBe('project');
    const mine = wheel(join(folder, 'mine'));
    expect(findLibtorch(options({ LIBTORCH: mine }))).toMatchObject({ source: 'LIBTORCH', path: mine });
  });

  it('takes the torch of $PYTHON only when LIBTORCH_USE_PYTORCH is 1', () => {
    const torch = wheel(join(folder, 'site-packages/torch'));
    const python = join(folder, 'python');
    write(python, `#!/bin/sh\necho ${torch}\n`);
    chmodSync(python, 0o755);
    expect(findLibtorch(options({ PYTHON: python }))).toBeUndefined();
    const env = { PYTHON: python, LIBTORCH_USE_PYTORCH: '1' };
    expect(findLibtorch(options(env))).toMatchObject({ source: 'LIBTORCH_USE_PYTORCH', path: torch });
  });

  it('does not take another when the one asked for is refused', () => {
    wheel(join(folder, '.libtorch/torch'));
    const bad = options({ LIBTORCH: join(folder, 'nowhere') });
    expect(findLibtorch(bad)).toBeUndefined();
    const text = explainSearch(undefined, bad);
    expect(text).toContain('it was refused: no such folder');
    expect(text).toContain('unset LIBTORCH && npm run setup');
    expect(text).toContain('usable: 2.13.0+cpu (cpu), but an earlier place decides');
    expect(findLibtorch(options({ PYTHON: '/bin/false', LIBTORCH_USE_PYTORCH: '1' }))).toBeUndefined();
  });

  it('that finds nothing names every place, every reason and every remedy', () => {
    wheel(join(folder, 'system'), '2.9.0');
    const text = explainSearch(searchLibtorch(options()), options());
    expect(text).toContain(`${join(folder, '.libtorch/torch')} (the package’s own): refused: no such folder`);
    expect(text).toContain(`${join(folder, 'system')} (system): refused: version 2.9.0 is not supported`);
    expect(text).toContain('Python’s torch: not looked at (LIBTORCH_USE_PYTORCH is not 1)');
    expect(text).toContain('npm run setup');
    expect(text).toContain('LIBTORCH=/path/to/libtorch npm run setup');
    expect(text).toContain('LIBTORCH_USE_PYTORCH=1 PYTHON=/path/to/python npm run setup');
  });
});

describe.runIf(onLinux)('the command', () => {
  const script = fileURLToPath(new URL('../../scripts/libtorch.mjs', import.meta.url));
  const ask = (topic: string, root: string) =>
    spawnSync(process.execPath, [script, topic], {
      encoding: 'utf8',
      env: { ...process.env, LIBTORCH: root },
    });

  it('answers what CMake and node-gyp ask', () => {
    const root = wheel(join(folder, 'torch'));
    expect(ask('root', root).stdout).toBe(`${root}\n`);
    expect(ask('lib', root).stdout).toBe(`${join(root, 'lib')}\n`);
    expect(ask('cmake', root).stdout).toBe(`-DTORCH_ROOT=${root}\n`);
    expect(ask('include', root).stdout.trim().split('\n')).toHaveLength(2);
    expect(JSON.parse(ask('json', root).stdout).found.version).toBe('2.13.0+cpu');
  });

  it('fails with the whole explanation, or for an unknown question', () => {
    const none = ask('root', join(folder, 'nowhere'));
    expect(none.status).toBe(1);
    expect(none.stdout).toBe('');
    expect(none.stderr).toContain('Any one of these mends it');
    expect(ask('colour', folder).status).toBe(2);
  });
});
