// The tools that set-up needs from the system, and the one command that installs those that are missing.
import { readFileSync } from 'node:fs';
import { capture } from './run.mjs';

/** sharp, the image library, sets this floor. */
export const MIN_NODE = [20, 9];
/** Precompiled headers by target options and C++20 as libtorch's headers use it. */
export const MIN_CMAKE = [3, 18];
const MIN_COMPILER = { gcc: 10, clang: 12 };

/**
 * @typedef {'compiler' | 'cmake' | 'make' | 'python' | 'pip'} ToolName
 * @typedef {{ name: ToolName, ok: boolean, value: string }} Tool  value: version, or what is wrong
 */

/** Package of each tool by system, after the command that installs them. */
const PACKAGES = {
  debian: {
    command: 'apt-get install -y',
    compiler: 'g++',
    cmake: 'cmake',
    make: 'make',
    python: 'python3',
    pip: 'python3-pip',
  },
  fedora: {
    command: 'dnf install -y',
    compiler: 'gcc-c++',
    cmake: 'cmake',
    make: 'make',
    python: 'python3',
    pip: 'python3-pip',
  },
  suse: {
    command: 'zypper install -y',
    compiler: 'gcc-c++',
    cmake: 'cmake',
    make: 'make',
    python: 'python3',
    pip: 'python3-pip',
  },
  arch: {
    command: 'pacman -S --noconfirm',
    compiler: 'gcc',
    cmake: 'cmake',
    make: 'make',
    python: 'python',
    pip: 'python-pip',
  },
};

/** @typedef {keyof typeof PACKAGES | 'macos' | 'unknown'} Family */

/** @param {string} [osRelease] contents of /etc/os-release @param {NodeJS.Platform} [platform] @returns {Family} */
export function systemFamily(osRelease, platform = process.platform) {
  if (platform === 'darwin') return 'macos';
  if (osRelease === undefined) {
    try {
      osRelease = readFileSync('/etc/os-release', 'utf8');
    } catch {
      return 'unknown';
    }
  }
  const ids = [...osRelease.matchAll(/^(?:ID|ID_LIKE)="?([^"\n]*)"?$/gm)].flatMap((match) =>
    (match[1] ?? '').split(' '),
  );
  const known = {
    debian: 'debian',
    ubuntu: 'debian',
    fedora: 'fedora',
    rhel: 'fedora',
    suse: 'suse',
    opensuse: 'suse',
    arch: 'arch',
  };
  const id = ids.find((name) => name in known);
  return id ? /** @type {Family} */ (known[/** @type {keyof typeof known} */ (id)]) : 'unknown';
}

/**
 * The one command that installs the missing tools here.
 * @param {ToolName[]} missing @param {Family} [family] @param {boolean} [isRoot] @returns {string}
 */
export function installCommand(missing, family = systemFamily(), isRoot = process.getuid?.() === 0) {
  if (family === 'macos') {
    const commands = missing.some((name) => name === 'compiler' || name === 'make')
      ? ['xcode-select --install']
      : [];
    const brew = missing.includes('cmake') ? ['cmake'] : [];
    if (missing.includes('python') || missing.includes('pip')) brew.push('python');
    if (brew.length > 0) commands.push(`brew install ${brew.join(' ')}`);
    return commands.join(' && ');
  }
  if (family === 'unknown') {
    const wording = {
      compiler: 'a C++20 compiler',
      cmake: 'CMake',
      make: 'make',
      python: 'Python 3',
      pip: 'pip',
    };
    return `(with your system's package manager) ${missing.map((name) => wording[name]).join(', ')}`;
  }
  const packages = PACKAGES[family];
  return `${isRoot ? '' : 'sudo '}${packages.command} ${missing.map((name) => packages[name]).join(' ')}`;
}

/** @param {string} version @param {number[]} floor */
export function isAtLeast(version, [major = 0, minor = 0]) {
  const [haveMajor = 0, haveMinor = 0] = version.split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}

/** What is wrong with this Node, or undefined. @param {string} [version] */
export function nodeFault(version = process.versions.node) {
  if (isAtLeast(version, MIN_NODE)) return undefined;
  return `Expected Node ${MIN_NODE.join('.')} or newer but this is ${version}. Install one from https://nodejs.org, or: nvm install 22`;
}

/** @returns {Tool} */
function compiler() {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  for (const name of names) {
    const banner = capture(name, ['--version']);
    if (!banner) continue;
    const clang = banner.match(/clang version (\d+)/)?.[1];
    const version = clang ?? capture(name, ['-dumpfullversion', '-dumpversion']) ?? '';
    const kind = clang ? 'clang' : 'gcc';
    const value = `${name} (${kind} ${version})`;
    const ok = Number.parseInt(version, 10) >= MIN_COMPILER[kind];
    return {
      name: 'compiler',
      ok,
      value: ok ? value : `${value} is too old for C++20 (${kind} ${MIN_COMPILER[kind]} or newer)`,
    };
  }
  return {
    name: 'compiler',
    ok: false,
    value: process.env.CXX ? `CXX=${process.env.CXX} does not run` : 'no C++ compiler',
  };
}

/** @returns {Tool} */
function cmake() {
  const version = capture('cmake', ['--version'])?.match(/version (\d+\.\d+(\.\d+)?)/)?.[1];
  if (!version) return { name: 'cmake', ok: false, value: 'no CMake' };
  const ok = isAtLeast(version, MIN_CMAKE);
  return {
    name: 'cmake',
    ok,
    value: ok ? version : `CMake ${version} is too old (${MIN_CMAKE.join('.')} or newer)`,
  };
}

/** @returns {Tool} */
function make() {
  const name = ['ninja', 'make'].find((command) => capture(command, ['--version']) !== undefined);
  return { name: 'make', ok: name !== undefined, value: name ?? 'neither make nor ninja' };
}

/** The Python that installs libtorch: $PYTHON or python3. */
export const pythonCommand = () => process.env.PYTHON || 'python3';

/** @returns {Tool} */
function python() {
  const version = capture(pythonCommand(), ['--version'])?.replace('Python ', '');
  return { name: 'python', ok: version !== undefined, value: version ?? `${pythonCommand()} does not run` };
}

/** @returns {Tool} */
function pip() {
  const version = capture(pythonCommand(), ['-m', 'pip', '--version'])?.match(/^pip (\S+)/)?.[1];
  return { name: 'pip', ok: version !== undefined, value: version ?? `${pythonCommand()} has no pip` };
}

const CHECKS = { compiler, cmake, make, python, pip };
export const BUILD_TOOLS = /** @type {const} */ (['compiler', 'cmake', 'make']);
export const PYTHON_TOOLS = /** @type {const} */ (['python', 'pip']);

/** @param {readonly ToolName[]} names @returns {Tool[]} */
export function checkTools(names) {
  return names.map((name) => CHECKS[name]());
}

/** One paragraph for what is missing, with the one command; undefined when all is there. @param {Tool[]} tools */
export function toolFault(tools) {
  const missing = tools.filter((tool) => !tool.ok);
  if (missing.length === 0) return undefined;
  const found = missing.map((tool) => tool.value).join(', ');
  return `Set-up needs tools that are missing here: ${found}. Install:\n    ${installCommand(missing.map((tool) => tool.name))}`;
}
