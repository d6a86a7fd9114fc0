import { readCategoryNames } from './category-names.js';
import { registerListedImages } from './listed-images.js';

/** MS COCO 2014: 80 classes; images and masks lie in `train` and `val`, which the split's name tells. */
registerListedImages({
  name: 'coco',
  title: 'MS COCO 2014',
  // As the original: "train" wins where a split's name holds both.
  subfolder: (split) => ['train', 'val'].find((part) => split.includes(part)) ?? '',
  classNames: readCategoryNames,
  remedy:
    'Set dataset.root_dir to the folder of JPEGImages and SegmentationClass and dataset.name_list_dir to that of lists ' +
    'and labels; `node dist/prepare.js coco` makes them.',
});
