export { Ddp, type DdpOptions } from './ddp.js';
export { claimGpu, type DistributedEnvironment, type Launcher, readEnvironment } from './environment.js';
export { type LaunchOptions, launch } from './launcher.js';
export { ModelMismatch } from './model-agreement.js';
export {
  type Backend,
  DEFAULT_TIMEOUT,
  type InitOptions,
  init,
  isAvailable,
  ProcessGroup,
  type Reduction,
} from './process-group.js';
export { Team, TeamMismatch } from './team.js';
