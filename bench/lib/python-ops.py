# Times small operations of PyTorch for bench/overhead.mjs: reads "operation count" lines, answers nanoseconds an operation.
import sys
import time

import torch

torch.set_num_threads(1)
a = torch.tensor([1.0, 2.0, 3.0, 4.0])
b = torch.tensor([1.0, 2.0, 3.0, 4.0])
c = torch.zeros(4)
try:
    import numpy

    small, large = numpy.ones(4, numpy.float32), numpy.ones(65536, numpy.float32)
except ImportError:
    numpy = None


def add(n):
    for _ in range(n):
        a.add(b)


def add_in_place(n):
    for _ in range(n):
        c.add_(b)


def shape(n):
    for _ in range(n):
        a.shape


def dtype(n):
    for _ in range(n):
        a.dtype


def round_trip(array, n):
    for _ in range(n):
        torch.from_numpy(array).clone().numpy().copy()


OPERATIONS = {
    "add": add,
    "addInPlace": add_in_place,
    "shape": shape,
    "dtype": dtype,
    "roundTrip": lambda n: round_trip(small, n),
    "roundTripLarge": lambda n: round_trip(large, n),
}

print(torch.__version__, flush=True)
for line in sys.stdin:
    name, count = line.split()
    if numpy is None and name.startswith("roundTrip"):
        print("missing", flush=True)
        continue
    OPERATIONS[name](max(1, int(count) // 4))  # awake again after waiting for the line
    start = time.perf_counter_ns()
    OPERATIONS[name](int(count))
    print((time.perf_counter_ns() - start) / int(count), flush=True)
