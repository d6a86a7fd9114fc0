/** How a command computes, apart from what: threads, and a recording of where its time goes. */
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { workDirPaths } from '../config/work-dir.js';
import type { Team } from '../distributed/index.js';
import { writeFileAtomic } from '../io/atomic.js';
import { Profiler } from '../profile/index.js';
import { getNumThreads } from '../tensor/index.js';
import { versionsInUse } from '../training/summary.js';
import { makeWritable } from '../training/work-dir.js';
import { integerOption } from './options.js';

export interface ComputeArguments {
  /** Absent: libtorch decides. */
  threads?: number;
  /** Where the trace goes, or true for the work directory. */
  profile?: string | true;
}

export function addThreadsOption(command: Command): Command {
  return command.addOption(
    integerOption('--threads <n>', 'CPU threads of each process (default: one for each core)', 1, 1024),
  );
}

export function addComputeOptions(command: Command): Command {
  return addThreadsOption(command).option(
    '--profile [file]',
    'record where the time goes, a few iterations of each kind, for ui.perfetto.dev or chrome://tracing ' +
      '(default: {work_dir}/profile-{command}.json)',
  );
}

export const computeArguments = ({ threads, profile }: ComputeArguments): ComputeArguments => ({
  threads,
  profile,
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
): string | undefined {
  if (profile === undefined) return undefined;
  const wanted = profile === true ? workDirPaths(config).profile(command) : profile;
  const file = team.isLead ? wanted : wanted.replace(/(\.json)?$/, `.rank${team.rank}$1`);
  makeWritable(dirname(file), '--profile');
  const facts = { command, ...versionsInUse(), threads: getNumThreads(), rank: team.rank };
  const profiler = new Profiler({ facts, write: (json) => writeFileAtomic(file, json) });
  // A path that cannot be written is said now, not after hours.
  profiler.save();
  process.once('exit', () => profiler.finish());
  return `Recording where the time goes to ${file} (open it in ui.perfetto.dev or chrome://tracing)`;
}
