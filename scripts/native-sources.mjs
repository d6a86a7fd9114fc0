// The addon's C++ files, one a line, for binding.gyp.
import { listFiles } from './lib/stamp.mjs';
import { packageRoot } from './libtorch.mjs';

for (const file of listFiles(packageRoot, 'native')) if (file.endsWith('.cc')) console.log(file);
