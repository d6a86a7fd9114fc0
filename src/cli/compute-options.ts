/** How a command computes, apart from what: device, threads, and a recording of where its time goes. */
import { dirname } from 'node:path';
import { type Command, Option } from 'commander';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import type { Team } from '../distributed/index.js';
import { writeFileAtomic } from '../io/atomic.js';
import { Profiler, recordDevice } from '../profile/index.js';
import { type Device, getNumThreads, scope, Tensor } from '../tensor/index.js';
import { versionsInUse } from '../training/versions.js';
import { makeWritable } from '../training/work-dir.js';
import { choiceOption, DEVICES, type DeviceName, integerOption } from './options.js';

export interface ComputeArguments {
  /** Absent: the best that there is. */
  device?: DeviceName;
  /** Absent: libtorch decides. */
  threads?: number;
  /** Where the trace goes, or true for the work directory. */
  profile?: string | true;
}

/** The forms of asking for a device, as they were typed. */
export type DeviceArguments = { device?: DeviceName } & Partial<Record<DeviceName, true>>;

/** As they were typed; computeArguments() reads them. */
export type ParsedCompute = ComputeArguments & DeviceArguments;

const DEVICE_HELP = {
  cpu: 'compute on the CPU',
  cuda: 'compute on an NVIDIA GPU',
  mps: 'compute on an Apple GPU',
};

/**
 * `--cpu`, `--cuda` and `--mps`, and `--device` as scripts write it: one of them alone.
 * @param without what is used without any of them
 */
export function addDeviceOptions(command: Command, without = 'the best there is'): Command {
  const forms = ['device', ...DEVICES];
  const others = (form: string) => forms.filter((other) => other !== form);
  for (const name of DEVICES)
    command.addOption(new Option(`--${name}`, DEVICE_HELP[name]).conflicts(others(name)));
  const help = `the same by name (default: ${without})`;
  return command.addOption(
    choiceOption('--device <cpu|cuda|mps>', help, DEVICES).conflicts(others('device')),
  );
}

/** The device that was asked for, in whichever form; undefined where none was. */
export const deviceArgument = (options: DeviceArguments): DeviceName | undefined =>
  options.device ?? DEVICES.find((name) => options[name]);

export function addThreadsOption(command: Command): Command {
  return command.addOption(
    integerOption('--threads <n>', 'CPU threads of each process (default: one for each core)', 1, 1024),
  );
}

export function addComputeOptions(command: Command): Command {
  return addThreadsOption(addDeviceOptions(command)).option(
    '--profile [file]',
    'record where the time goes, a few iterations of each kind, for ui.perfetto.dev or chrome://tracing ' +
      '(default: {work_dir}/profile-{command}.json)',
  );
}

export const computeArguments = (options: ParsedCompute): ComputeArguments => ({
  device: deviceArgument(options),
  threads: options.threads,
  profile: options.profile,
});

/**
 * Begins the recording that --profile asks for; the file is renewed as it grows, and when the process ends, also after
 * Ctrl-C or an error. Each process of a team has a file of its own.
 * @returns what to tell the user, or undefined when nothing is recorded
 * @throws UsageError, FileAccessError when the file cannot be written
 */
export function beginProfile(
  { profile }: ComputeArguments,
  command: string,
  config: Config,
  team: Team,
  device: Device,
): string | undefined {
  if (profile === undefined) return undefined;
  const wanted = profile === true ? workDirPaths(config).profile(command) : profile;
  const file = team.isLead ? wanted : wanted.replace(/(\.json)?$/, `.rank${team.rank}$1`);
  makeWritable(dirname(file), '--profile');
  const facts = { command, ...versionsInUse(), threads: getNumThreads(), rank: team.rank };
  const fault = device === 'cuda' ? whyNoKernels(device) : undefined;
  const profiler = new Profiler({
    facts: { ...facts, device, ...(fault && { withoutGpuActivities: fault }) },
    device: device === 'cuda' && !fault ? device : undefined,
    // CUDA graphs are recorded the fourth time that a shape comes.
    ...(device === 'cuda' && { warmup: 6 }),
    write: (json) => writeFileAtomic(file, json),
  });
  // A path that cannot be written is said now, not after hours.
  profiler.save();
  process.once('exit', () => profiler.finish());
  const missing = fault ? `. The GPU's kernels will be missing in it: ${fault}` : '';
  return `Recording where the time goes to ${file} (open it in ui.perfetto.dev or chrome://tracing)${missing}`;
}

/** Tries a GPU's record on one kernel, which also takes loading CUPTI out of the iterations. */
const whyNoKernels = (device: Device) =>
  recordDevice(device, () => scope(() => Tensor.zeros([1], 'float32', device).item())).fault;
