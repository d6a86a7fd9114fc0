# The second way in, for node-gyp users: `npx node-gyp rebuild`. CMakeLists.txt is the first; both ask
# scripts/libtorch.mjs where libtorch is, and both make build/Release/medical_afa.node. With a CUDA libtorch this one
# computes on the GPU by libtorch's own kernels alone: native/**/*.cu, NCCL and diagnoses of the driver are CMake's.
{
  "variables": {
    "torch": "<!(node scripts/libtorch.mjs root)",
    "torch_lib": "<!(node scripts/libtorch.mjs lib)"
  },
  "targets": [{
    "target_name": "medical_afa",
    "sources": ["<!@(node scripts/native-sources.mjs)"],
    "include_dirs": [
      "native",
      "<!(node -p \"require('node-addon-api').include_dir\")",
      "<!@(node scripts/libtorch.mjs include)",
      "native/distributed/gloo_shim"
    ],
    "defines": [
      "NAPI_VERSION=8", "NODE_ADDON_API_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "USE_DISTRIBUTED", "USE_C10D_GLOO"
    ],
    "cflags!": ["-fno-exceptions", "-fno-rtti"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++1y", "-std=gnu++20"],
    "cflags_cc": [
      # CMake does the same with its precompiled header; sources count on it.
      "-include", "<(module_root_dir)/native/pch.h",
      "-std=c++20", "-fexceptions", "-frtti", "-fvisibility=hidden", "-fvisibility-inlines-hidden",
      "-Wno-unused-parameter", "-Wno-missing-field-initializers"
    ],
    "conditions": [
      ["OS=='mac'", {
        "xcode_settings": {
          "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
          "OTHER_CPLUSPLUSFLAGS": ["-include", "<(module_root_dir)/native/pch.h"],
          "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
          "GCC_ENABLE_CPP_RTTI": "YES",
          "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
          "MACOSX_DEPLOYMENT_TARGET": "12.0"
        },
        "libraries": ["-L<(torch_lib)", "-ltorch", "-ltorch_cpu", "-lc10", "-Wl,-rpath,<(torch_lib)"]
      }, {
        "cflags_cc": ["-fopenmp"],
        "libraries": [
          "-Wl,--no-as-needed", "-L<(torch_lib)", "-ltorch", "-ltorch_cpu", "-lc10", "-Wl,-rpath,<(torch_lib)"
        ]
      }]
    ]
  }]
}
