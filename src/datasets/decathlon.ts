import { dirname } from 'node:path';

/**
 * Tells how slices are made from a task of the Medical Segmentation Decathlon, the public source that stands
 * in for the medical datasets.
 *
 * @param task the task's folder, e.g. "Task02_Heart"
 * @param rootDir where the slices are wanted: `{out}/imageSlice`, and the masks beside it
 * @param flags further flags of the command
 */
export function decathlonRemedy(task: string, rootDir: string, flags = ''): string {
  return (
    `Set dataset.root_dir to the folder that holds them, or make them from the public ${task} of the Medical ` +
    `Segmentation Decathlon (medicaldecathlon.com): download and unpack it, then run\n` +
    `  node dist/prepare.js nifti ${task}/imagesTr --labels ${task}/labelsTr${flags} --out ${dirname(rootDir)}`
  );
}
