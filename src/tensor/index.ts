export { CudaGraph, type Recording } from './cuda-graph.js';
export { Download } from './download.js';
export * from './dtypes.js';
export { emptyCache, hostReads, keep, type MemoryUse, memory, noGrad, scope } from './scope.js';
export * from './system.js';
export { type Conv2dOptions, type Device, expectShape, type Operand, Tensor } from './tensor.js';
