// Recorded graphs: replayed, they do the copies that were recorded, in their order.
#include "hollow.h"

using namespace hollow;
using Handle = std::shared_ptr<Graph>;

HOLLOW cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  std::lock_guard guard(lock());
  *made = reinterpret_cast<cudaGraphExec_t>(new Handle(*reinterpret_cast<Handle*>(graph)));
  return cudaSuccess;
}
HOLLOW cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  std::lock_guard guard(lock());
  delete reinterpret_cast<Handle*>(graph);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  std::lock_guard guard(lock());
  delete reinterpret_cast<Handle*>(graph);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t at) {
  std::lock_guard guard(lock());
  const auto graph = *reinterpret_cast<Handle*>(handle);
  count(Count::GraphLaunches);
  log("GRAPH %ld kernels", static_cast<long>(graph->kernels));
  return error(enqueue(streamOf(at), [graph] {
    for (const auto& work : graph->work) work();
  }));
}
HOLLOW cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* n) {
  std::lock_guard guard(lock());
  *n = (*reinterpret_cast<Handle*>(graph))->work.size();
  return cudaSuccess;
}
HOLLOW cudaError_t cudaUserObjectCreate(cudaUserObject_t* made, void* object, cudaHostFn_t release, unsigned, unsigned) {
  *made = reinterpret_cast<cudaUserObject_t>(new std::pair(object, release));
  return cudaSuccess;
}
HOLLOW cudaError_t cudaGraphRetainUserObject(cudaGraph_t, cudaUserObject_t, unsigned, unsigned) { return cudaSuccess; }
HOLLOW cudaError_t cudaUserObjectRelease(cudaUserObject_t, unsigned) { return cudaSuccess; }
