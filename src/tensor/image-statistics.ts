/** ImageNet's channel means and standard deviations on the 0..255 scale, as the pretrained encoders expect. */
export const IMAGE_MEAN = [123.675, 116.28, 103.53] as const;
export const IMAGE_STD = [58.395, 57.12, 57.375] as const;
