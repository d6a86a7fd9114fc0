// NCCL: communicators of any size, whose collectives are kernels: each process keeps its own values. Its header is left out,
// so that functions may name only the arguments which they look at: the first.
#include <cstring>

#include "hollow.h"

namespace {

using namespace hollow;

struct Communicator {
  int ranks, rank;
};

int collective(const char* name, cudaStream_t at) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(at);
  log("COLLECTIVE %d %s", stream->id, name);
  return enqueueForeign(stream) ? 0 : 1;
}

}  // namespace

struct Id {
  char bytes[128];
};

HOLLOW int ncclGetVersion(int* version) {
  *version = 22807;
  return 0;
}
HOLLOW const char* ncclGetErrorString(int) { return "an error of the hollow GPU's NCCL"; }
HOLLOW const char* ncclGetLastError(void*) { return ""; }
HOLLOW int ncclGetUniqueId(Id* id) {
  memset(id, 1, sizeof *id);
  return 0;
}
HOLLOW int ncclCommInitRank(void** made, int ranks, Id, int rank) {
  *made = new Communicator{ranks, rank};
  return 0;
}
HOLLOW int ncclCommInitRankConfig(void** made, int ranks, Id id, int rank, void*) {
  return ncclCommInitRank(made, ranks, id, rank);
}
HOLLOW int ncclCommFinalize(void*) { return 0; }
HOLLOW int ncclCommDestroy(void* communicator) {
  delete static_cast<Communicator*>(communicator);
  return 0;
}
HOLLOW int ncclCommAbort(void* communicator) { return ncclCommDestroy(communicator); }
HOLLOW int ncclCommGetAsyncError(void*, int* error) {
  *error = 0;
  return 0;
}
HOLLOW int ncclCommCount(void* communicator, int* ranks) {
  *ranks = static_cast<Communicator*>(communicator)->ranks;
  return 0;
}
HOLLOW int ncclCommUserRank(void* communicator, int* rank) {
  *rank = static_cast<Communicator*>(communicator)->rank;
  return 0;
}
HOLLOW int ncclGroupStart() { return 0; }
HOLLOW int ncclGroupEnd() { return 0; }
HOLLOW int ncclAllReduce(const void*, void*, size_t, int, int, void*, cudaStream_t stream) {
  return collective("all-reduce", stream);
}
HOLLOW int ncclBroadcast(const void*, void*, size_t, int, int, void*, cudaStream_t stream) {
  return collective("broadcast", stream);
}
HOLLOW int ncclBcast(void*, size_t, int, int, void*, cudaStream_t stream) { return collective("broadcast", stream); }
HOLLOW int ncclAllGather(const void*, void*, size_t, int, void*, cudaStream_t stream) {
  return collective("all-gather", stream);
}
HOLLOW int ncclReduce(const void*, void*, size_t, int, int, int, void*, cudaStream_t stream) {
  return collective("reduce", stream);
}
HOLLOW int ncclReduceScatter(const void*, void*, size_t, int, int, void*, cudaStream_t stream) {
  return collective("reduce-scatter", stream);
}
