/** The first host of a Slurm list: "gpu[07-09,12],login" is gpu07. Undefined for a list that is none. */
export function firstHost(list: string): string | undefined {
  const match = /^([^[\],\s]+)(?:\[(\w+)(?:-\w+)?(?:,[^\]]*)?\]([^,[\]]*))?/.exec(list.trim());
  if (!match) return undefined;
  const [, prefix, number = '', suffix = ''] = match;
  return `${prefix}${number}${suffix}`;
}
