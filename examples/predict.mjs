// Loads a checkpoint, predicts one image and draws where the model saw it.
//   node predict.mjs work_dir/checkpoints/best.pth slice_1.npy [heatmap.png]
import { Predictor } from 'medical-afa';

const [checkpoint, image, output = 'heatmap.png'] = process.argv.slice(2);
if (!image) {
  console.error('Usage: node predict.mjs CHECKPOINT IMAGE(.npy, .png, .jpg) [HEATMAP.png]');
  process.exit(2);
}

const predictor = await Predictor.load(checkpoint);
const { score, cam, segmentation, height, width } = await predictor.predict(image);
const positive = segmentation.filter((label) => label > 0).length;
console.log(
  `${predictor.backbone}: score ${score.toFixed(3)}, ${positive} of ${height * width} pixels positive`,
);

await predictor.saveHeatmap(output, image, cam);
console.log(`Wrote ${output} (${width}x${height})`);
predictor.dispose();
