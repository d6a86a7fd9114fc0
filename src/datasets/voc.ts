import { registerListedImages } from './listed-images.js';
import { VOC_CLASSES } from './voc-classes.js';

/** PASCAL VOC 2012: 20 classes; the masks of train_aug are those of SBD, in SegmentationClassAug. */
registerListedImages({
  name: 'voc',
  title: 'PASCAL VOC 2012',
  subfolder: () => '',
  classNames: () => VOC_CLASSES,
  remedy:
    'Set dataset.root_dir to VOCdevkit/VOC2012 and dataset.name_list_dir to the folder of lists and labels, which ' +
    '`node dist/prepare.js voc` makes.',
});
