#!/usr/bin/env node
/**
 * `medical-afa-doctor`: the installed package's way to scripts/doctor.mjs, which `npm run doctor` runs directly
 * (it must also work where dist/ is missing, so the work is not here).
 */
// A variable, as the script lies outside the compiled sources; both are in the package.
const script = new URL('../scripts/doctor.mjs', import.meta.url).href;
const doctor = (await import(script)) as { main(args: string[]): number };
process.exitCode = doctor.main(process.argv.slice(2));
