export { microseconds } from './clock.js';
export { type DeviceActivity, type DeviceRecord, recordDevice } from './device-record.js';
export { Profiler, type ProfilerOptions } from './profiler.js';
export { beginIteration, elsewhere, endIteration, span, stage, type Track } from './spans.js';
