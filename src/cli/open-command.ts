import type { Config } from '../config/schema.js';
import { claimGpu, type Team } from '../distributed/index.js';
import type { Device } from '../tensor/index.js';
import { getDevice } from '../training/device.js';
import { type Logger, setupLogger } from '../training/logging.js';
import { beginProfile, type ComputeArguments } from './compute-options.js';
import { loadCommandConfig } from './load-config.js';
import { enterTeam, type TeamArguments } from './team.js';

/** What a command that computes without training begins with. */
export interface OpenedCommand {
  config: Config;
  device: Device;
  team: Team;
  /** Console only, and silent on all processes but the lead. */
  log: Logger;
}

/**
 * Loads the configuration, joins or starts the processes that share the work, and says what was chosen.
 * @param command its name in the file of a profile
 * @returns the exit code where the work was done by processes that were started
 */
export async function openCommand(
  command: string,
  args: TeamArguments &
    ComputeArguments & {
      config: Parameters<typeof loadCommandConfig>[0];
      verbose: boolean;
    },
): Promise<OpenedCommand | number> {
  const { config, notes } = await loadCommandConfig(args.config);
  claimGpu();
  const device = getDevice(args.device);
  const entered = await enterTeam(args, device);
  if (typeof entered === 'number') return entered;
  const { team } = entered;
  const log = setupLogger(undefined, { verbose: args.verbose, silent: !team.isLead });
  const recording = beginProfile(args, command, config, team, device);
  for (const note of [...notes, ...entered.notes, ...(recording ? [recording] : [])]) log.info('%s', note);
  return { config, device, team, log };
}
