// Products: counted, never made.
#include <cublasLt.h>
#include <cublas_v2.h>

#include <cstring>

#include "hollow.h"

namespace {

using namespace hollow;

struct Handle {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
};
Handle& of(cublasHandle_t handle) { return *reinterpret_cast<Handle*>(handle); }

cublasStatus_t product(cudaStream_t at, const char* name, int64_t m, int64_t n, int64_t k, int64_t batch) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(at);
  log("PRODUCT %d %s %ld x %ld x %ld, %ld times", stream->id, name, long(m), long(n), long(k), long(batch));
  return enqueueForeign(stream) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

struct Layout {
  uint64_t rows, columns;
  int32_t batch = 1;
};

}  // namespace

HOLLOW cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  *handle = reinterpret_cast<cublasHandle_t>(new Handle);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete &of(handle);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  of(handle).stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
HOLLOW cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t math) {
  of(handle).math = math;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* math) {
  *math = of(handle).math;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  of(handle).pointers = mode;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t* mode) {
  *mode = of(handle).pointers;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasSetSmCountTarget(cublasHandle_t, int) { return CUBLAS_STATUS_SUCCESS; }

HOLLOW cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                     const float*, const float*, int, const float*, int, const float*, float*, int) {
  return product(of(handle).stream, "sgemm", m, n, k, 1);
}
HOLLOW cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t, cublasOperation_t, int m, int n,
                                                int k, const float*, const float*, int, long long, const float*, int,
                                                long long, const float*, float*, int, long long, int batch) {
  return product(of(handle).stream, "sgemm", m, n, k, batch);
}
HOLLOW cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t, int m, int n, const float*, const float*, int,
                                     const float*, int, const float*, float*, int) {
  return product(of(handle).stream, "sgemv", m, n, 1, 1);
}
HOLLOW cublasStatus_t cublasSdot_v2(cublasHandle_t handle, int n, const float*, int, const float*, int, float*) {
  return product(of(handle).stream, "sdot", n, 1, 1, 1);
}
HOLLOW cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t, cublasOperation_t, int m, int n, int k,
                                   const void*, const void*, cudaDataType type, int, const void*, cudaDataType, int,
                                   const void*, void*, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t) {
  return product(of(handle).stream, type == CUDA_R_16BF ? "bf16" : "gemm", m, n, k, 1);
}
HOLLOW cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t, cublasOperation_t, int m, int n,
                                                 int k, const void*, const void*, cudaDataType type, int, long long,
                                                 const void*, cudaDataType, int, long long, const void*, void*,
                                                 cudaDataType, int, long long, int batch, cublasComputeType_t,
                                                 cublasGemmAlgo_t) {
  return product(of(handle).stream, type == CUDA_R_16BF ? "bf16" : "gemm", m, n, k, batch);
}

HOLLOW size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
HOLLOW cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t, cudaDataType_t) {
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new int64_t(0));  // whether A is transposed
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete reinterpret_cast<int64_t*>(description);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                                     cublasLtMatmulDescAttributes_t attribute, const void* value, size_t) {
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSA)
    *reinterpret_cast<int64_t*>(description) = *static_cast<const int32_t*>(value) != CUBLAS_OP_N;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType, uint64_t rows,
                                                 uint64_t columns, int64_t) {
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{rows, columns});
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete reinterpret_cast<Layout*>(layout);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                       cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                       size_t) {
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
    reinterpret_cast<Layout*>(layout)->batch = *static_cast<const int32_t*>(value);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = reinterpret_cast<cublasLtMatmulPreference_t>(new char);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete reinterpret_cast<char*>(preference);
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                           cublasLtMatmulPreferenceAttributes_t, const void*, size_t) {
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                                     cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                                     cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                                                     cublasLtMatmulHeuristicResult_t results[], int* n) {
  memset(results, 0, sizeof results[0]);
  *n = 1;
  return CUBLAS_STATUS_SUCCESS;
}
HOLLOW cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void*, const void*,
                                     cublasLtMatrixLayout_t a, const void*, cublasLtMatrixLayout_t, const void*,
                                     const void*, cublasLtMatrixLayout_t, void*, cublasLtMatrixLayout_t d,
                                     const cublasLtMatmulAlgo_t*, void*, size_t, cudaStream_t stream) {
  const auto& left = *reinterpret_cast<Layout*>(a);
  const auto& out = *reinterpret_cast<Layout*>(d);
  const auto inner = *reinterpret_cast<int64_t*>(description) ? left.rows : left.columns;
  return product(stream, "lt", out.rows, out.columns, inner, out.batch);
}
