/** Within template arguments, what says which of its many uses a kernel has; wrappers around it are skipped. */
const USES = /\b(cutlass\w*_\w+|\w*Functor\w*|\w+_kernel_(?:cuda|impl)|\w+KernelImpl|\w+Ops)\b/g;
const WRAPPER = /^((Binary|[AB]?Unary)Functor|gpu_kernel_impl)$/;

/**
 * The name that a person looks for, of CUPTI's with all template arguments and parameters:
 * `vectorized_elementwise_kernel (GeluCUDAKernelImpl)`. Copies and fills keep theirs: `Memcpy HtoD (Pinned -> Device)`.
 */
export function shortKernelName(name: string): string {
  const text = name.replace(/^void /, '').replaceAll('(anonymous namespace)::', '');
  const base = /^[^<(]*/.exec(text)![0].trim();
  if (/\s/.test(base)) return name;
  const uses = text[base.length] === '<' ? (text.slice(base.length).match(USES) ?? []) : [];
  const use = uses.find((one) => !WRAPPER.test(one));
  const own = base.slice(base.lastIndexOf('::') === -1 ? 0 : base.lastIndexOf('::') + 2);
  return use ? `${own} (${use})` : own;
}
