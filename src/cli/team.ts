/** One command in several processes: started here, or by a launcher of the user's. */
import type { Command } from 'commander';
import { type Backend, launch, readEnvironment, type Team } from '../distributed/index.js';
import { type Device, gpuCount } from '../tensor/index.js';
import { joinTeam, requireGpuForEach } from '../training/join-team.js';
import { choiceOption, integerOption } from './options.js';
import { beforeFailing } from './run-main.js';

export interface TeamArguments {
  /** Processes to start on this machine, where no launcher has started any. */
  nproc_per_node: number;
  /** Absent: nccl on CUDA, gloo elsewhere. */
  backend?: Backend;
  master_port: number;
  /** Seconds after which a process that waits for the others gives up. */
  timeout: number;
}

export function addTeamOptions(command: Command): Command {
  return command
    .addOption(
      integerOption('--nproc_per_node <n>', 'work in so many processes on this machine', 1, 1024).default(1),
    )
    .addOption(
      choiceOption('--backend <gloo|nccl>', 'how the processes talk (default: nccl on CUDA, else gloo)', [
        'gloo',
        'nccl',
      ]),
    )
    .addOption(
      integerOption(
        '--master_port <port>',
        'where they meet; the next free port where it is taken',
        1,
        65535,
      ).default(29520),
    )
    .addOption(
      integerOption('--timeout <seconds>', 'how long they wait for one that is silent', 1, 86400).default(
        600,
      ),
    );
}

export const teamArguments = ({
  nproc_per_node,
  backend,
  master_port,
  timeout,
}: TeamArguments): TeamArguments => ({
  nproc_per_node,
  backend,
  master_port,
  timeout,
});

/**
 * Joins the processes that do this command together, or starts them.
 * @param check what can be known before processes are started, awaited: its faults are said once
 * @returns the exit code of the processes that were started, or the team that this process belongs to
 */
export async function enterTeam(
  args: TeamArguments & { threads?: number | undefined },
  device: Device,
  check: () => unknown = () => {},
): Promise<number | { team: Team; notes: readonly string[] }> {
  const place = readEnvironment();
  if (!place && args.nproc_per_node > 1) {
    if (device.startsWith('cuda') && args.backend !== 'gloo')
      requireGpuForEach(args.nproc_per_node, gpuCount());
    await check();
    return launch({
      command: [process.execPath, ...process.execArgv, ...process.argv.slice(1)] as [string, ...string[]],
      processes: args.nproc_per_node,
      masterPort: args.master_port,
      // Standard output is the result's, also where a program reads it.
      prefixStdout: false,
    });
  }
  const team = await joinTeam(place, { ...args, device });
  beforeFailing((fault) => team.failed(fault));
  const notes = [...(place?.notes ?? [])];
  if (team.group) notes.push(`Working in ${team.size} processes (${team.group.backend})`);
  return { team, notes };
}
