#!/usr/bin/env bash
# build.sh TORCH OUT [INCLUDE...]: the hollow GPU as a library to preload, for the PyTorch in TORCH (CUDA 12 or 13).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
torch=$1 out=$2
shift 2
flags=(-std=c++20 -O1 -g -fPIC -shared "-Wl,-soname,libcuda.so.1" "-I$here") # libtorch asks for the driver's library by name
for folder in "$@"; do flags+=(-isystem "$folder"); done

c++ "${flags[@]}" -o "$out" "$here"/*.cc
# All else that libtorch links: says its name when it is called, which a training never does.
symbols() { nm -D "$@" | sed 's/@.*//' | awk '{ print $NF }' | sort -u; }
symbols --undefined-only "$torch"/lib/lib{caffe2_nvrtc,c10_cuda,torch_cuda,torch_cuda_linalg}.so |
  grep -E '^(__cuda|cuda[A-Z]|cu[A-Z]|cublas|cudnn|nccl)' >"$out.needed"
missing=$out.missing.cc
{
  echo '#include <cstdio>'
  echo 'extern "C" {'
  comm -13 <(symbols --defined-only "$out") "$out.needed" | while read -r name; do
    # 801 is cudaErrorNotSupported and CUDA_ERROR_NOT_SUPPORTED, and no success of cuBLAS or cuDNN.
    echo "int $name() { fprintf(stderr, \"The hollow GPU has no $name\\n\"); return 801; }"
  done
  echo '}'
} >"$missing"
c++ "${flags[@]}" -o "$out" "$here"/*.cc "$missing"
rm -f "$out.needed" "$missing"
