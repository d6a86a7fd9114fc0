"""Writes test/fixtures/cam/dense_crf.safetensors: what pydensecrf answers for a small image.

    pip install numpy pydensecrf2==1.1 && python test/oracles/dense_crf.py

pydensecrf2 is pydensecrf 1.0 (lucasb-eyer/pydensecrf) packed so that it compiles today. The calls are those of the
original's utils/dcrf.py, the parameters those of its scripts/test_msc_flip.py. The number of pixels is a multiple of 4:
otherwise pydensecrf adds vertices for the padding of its last four pixels, which belong to no pixel.
"""
import json
import struct
from pathlib import Path

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import unary_from_softmax

C, H, W = 4, 23, 20


def marginals(image, probabilities, iterations, gaussian=(3, 3), bilateral=(64, 5, 4)):
    crf = dcrf.DenseCRF2D(W, H, C)
    crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(probabilities)))
    crf.addPairwiseGaussian(sxy=gaussian[0], compat=gaussian[1])
    crf.addPairwiseBilateral(sxy=bilateral[0], srgb=bilateral[1], rgbim=image, compat=bilateral[2])
    return np.array(crf.inference(iterations), np.float32).reshape(C, H, W)


def write_safetensors(path, tensors):
    names = {"uint8": "U8", "float32": "F32"}
    header, body = {}, b""
    for name, array in tensors.items():
        data = np.ascontiguousarray(array).tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": names[str(array.dtype)], "shape": array.shape, "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


random = np.random.default_rng(7)
y, x = np.mgrid[:H, :W]
inside = (x - 9) ** 2 + (y - 11) ** 2 < 49
image = np.where(inside[..., None], [200, 90, 40], [60, 70, 90]) + random.normal(0, 4, (H, W, 3))
image = np.clip(image, 0, 255).astype(np.uint8)
logits = random.normal(0, 1.5, (C, 5, 5)).repeat(5, 1).repeat(5, 2)[:, :H, :W]
logits[1] += 2 * inside
probabilities = (np.exp(logits) / np.exp(logits).sum(0)).astype(np.float32)
probabilities[:, 0, 0] = [1, 0, 0, 0]  # clipped at 1e-5

write_safetensors(
    Path(__file__).parent.parent / "fixtures/cam/dense_crf.safetensors",
    {
        "rgb": image,
        "probabilities": probabilities,
        "iterations_0": marginals(image, probabilities, 0),
        "iterations_1": marginals(image, probabilities, 1),
        "iterations_10": marginals(image, probabilities, 10),
        "wide": marginals(image, probabilities, 5, gaussian=(1, 2), bilateral=(20, 13, 10)),
    },
)
