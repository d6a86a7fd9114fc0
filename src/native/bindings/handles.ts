declare const kind: unique symbol;
/** A native object: opaque, made and checked by the addon. */
export type TensorHandle = { readonly [kind]: 'tensor' };
export type WeTrHandle = { readonly [kind]: 'wetr' };
export type GroupHandle = { readonly [kind]: 'processGroup' };
export type DownloadHandle = { readonly [kind]: 'download' };
export type CudaGraphHandle = { readonly [kind]: 'cudaGraph' };
export type ReducerHandle = { readonly [kind]: 'gradientReducer' };

/** A tensor, or a number that takes part in type promotion as Python's numbers do. */
export type Operand = TensorHandle | number;
export type Ints = readonly number[];
