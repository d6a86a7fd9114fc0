// A GPU that computes nothing. Preloaded, these functions stand in for CUDA's runtime, cuBLAS and cuDNN; everything above
// them is the real libtorch and the real addon: dispatch, checks of devices and types, the caching allocator, streams,
// captures, and what a step asks the host to wait for. Memory is the host's, copies are real, and kernels only leave
// their names, so numbers mean nothing.
//
// It is stricter than a GPU that is lucky: a copy happens as late as the program allows, at the first wait for it; until then
// who reads what is copied to the host finds NaN; no event is done when it is first asked for; and what CUDA's guide forbids
// while a graph is being recorded breaks the recording.
//
// Environment: HOLLOW_COUNTERS and HOLLOW_LOG, files to write to; HOLLOW_TRACE=1, where the host waits; HOLLOW_BLANK=1, nothing
// is copied, so that all results are zeros and answers of one byte are yes: a graph then gives what its work gives;
// HOLLOW_BREAK=N, recordings fail at their Nth operation; HOLLOW_GPUS, HOLLOW_MEMORY (bytes), HOLLOW_CAPABILITY (90),
// HOLLOW_DRIVER (13000): another GPU than one H200.
#pragma once
#include <cuda_runtime_api.h>
#include <pthread.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#define HOLLOW extern "C" __attribute__((visibility("default")))

namespace hollow {

// What a test reads, from the file named HOLLOW_COUNTERS: one little-endian 64-bit number each, in this order.
enum class Count {
  Kernels,  // launched by the host, products of cuBLAS and layers of cuDNN included
  OwnKernels,  // of those, the addon's
  GraphLaunches,
  Waits,   // of the host: for a stream, an event, the device, or a copy that cannot be asynchronous
  Copies,  // between host and device
  CopiedBytes,
  Captures,
  Faults,  // what a GPU may forgive, and a program must not do; HOLLOW_LOG has them in words
  kCount
};
void count(Count what, int64_t by = 1);
int64_t setting(const char* name, int64_t otherwise);
// A line in the file named HOLLOW_LOG.
void log(const char* format, ...) __attribute__((format(printf, 1, 2)));
void fault(const char* format, ...) __attribute__((format(printf, 1, 2)));
// The host waits; with HOLLOW_TRACE=1 the log says where.
void hostWaits(const char* call);

// One lock for all: calls are few and short.
std::recursive_mutex& lock();

cudaError_t error(cudaError_t code);

struct Capture;
struct Graph;

struct Stream {
  int id;
  int device = 0;
  std::deque<std::function<void()>> queue;  // what is still to be done
  int64_t done = 0;                         // how much of it has been
  std::shared_ptr<Capture> capture;
  int64_t captured = 0;  // its operations in this capture
  int64_t end() const { return done + static_cast<int64_t>(queue.size()); }
};

struct Capture {
  uint64_t id;
  Stream* origin;
  cudaStreamCaptureMode mode;
  std::shared_ptr<Graph> graph;
  std::map<Stream*, int64_t> joined;  // streams that have come in, and how many of their operations came back
  pthread_t thread;
  bool invalid = false;
};

struct Graph {
  std::vector<std::function<void()>> work;
  int64_t kernels = 0;
};

struct Event {
  Stream* stream = nullptr;
  int64_t position = 0;
  bool asked = false;
  std::shared_ptr<Capture> capture;
  int64_t captured = 0;
  double time = 0;
};

Stream* streamOf(cudaStream_t handle);
// Does what is queued, up to a position; -1: all.
void complete(Stream* stream, int64_t position = -1);
void completeAll();
// A kernel, copy or callback on a stream: into its capture, else into its queue. An error where the capture is broken.
cudaError_t enqueue(Stream* stream, std::function<void()> work, int kernels = 0);
// The same for cuBLAS, cuDNN and NCCL, whose errors are not those of the program's own runtime.
bool enqueueForeign(Stream* stream);
// Whether a call that may not be made while a graph is being recorded is made then, which breaks the recording.
cudaError_t unsafeCall(const char* call);

bool isDevice(const void* pointer);
bool isPinned(const void* pointer);

}  // namespace hollow
