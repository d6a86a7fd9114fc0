/**
 * Python that prints what the real tensorboard package reads below a folder, as JSON: for each run its scalars
 * [step, value], images [step, width, height, base64 of the PNG] and texts [step, text] by tag.
 */
export const READ_RUNS = `
import base64, json, os, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
root = sys.argv[1]
runs = {}
for folder, _, files in sorted(os.walk(root)):
    if not any('tfevents' in f for f in files): continue
    ea = EventAccumulator(folder, size_guidance={'scalars': 0, 'images': 0, 'tensors': 0})
    ea.Reload()
    tags = ea.Tags()
    runs[os.path.relpath(folder, root)] = {
        'scalars': {t: [[e.step, e.value] for e in ea.Scalars(t)] for t in tags['scalars']},
        'images': {t: [[e.step, e.width, e.height, base64.b64encode(e.encoded_image_string).decode()]
                       for e in ea.Images(t)] for t in tags['images']},
        'texts': {t: [[e.step, e.tensor_proto.string_val[0].decode()] for e in ea.Tensors(t)]
                  for t in tags['tensors']},
    }
print(json.dumps(runs))
`;
