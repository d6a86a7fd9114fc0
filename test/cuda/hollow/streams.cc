// Streams, events and captures, by the rules of CUDA's guide: work is done in order, as late as somebody waits for it.
#include <chrono>
#include <set>

#include "hollow.h"

namespace hollow {
namespace {

std::set<Stream*>& streams() {
  static std::set<Stream*> all;
  return all;
}
std::set<std::shared_ptr<Capture>>& captures() {
  static std::set<std::shared_ptr<Capture>> active;
  return active;
}
thread_local cudaStreamCaptureMode threadMode = cudaStreamCaptureModeGlobal;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Stream* makeStream() {
  static int made = 0;
  auto* stream = new Stream{made++};
  streams().insert(stream);
  return stream;
}

cudaError_t breakCapture(const std::shared_ptr<Capture>& capture, const char* call, cudaError_t code) {
  capture->invalid = true;
  log("CAPTURE %lu is broken by %s", static_cast<unsigned long>(capture->id), call);
  return error(code);
}

}  // namespace

Stream* streamOf(cudaStream_t handle) {
  // Null and the named legacy stream are one.
  static Stream* legacy = makeStream();
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) return legacy;
  return reinterpret_cast<Stream*>(handle);
}

void complete(Stream* stream, int64_t position) {
  if (position < 0) position = stream->end();
  while (stream->done < position && !stream->queue.empty()) {
    auto work = std::move(stream->queue.front());
    stream->queue.pop_front();
    ++stream->done;
    work();
  }
}

void completeAll() {
  for (auto* stream : streams()) complete(stream);
}

cudaError_t enqueue(Stream* stream, std::function<void()> work, int kernels) {
  if (auto& capture = stream->capture) {
    if (capture->invalid) return error(cudaErrorStreamCaptureInvalidated);
    static const auto breaksAt = setting("HOLLOW_BREAK", 0);
    if (breaksAt && static_cast<int64_t>(capture->graph->work.size()) == breaksAt)
      return breakCapture(capture, "HOLLOW_BREAK", cudaErrorStreamCaptureUnsupported);
    capture->graph->work.push_back(std::move(work));
    capture->graph->kernels += kernels;
    ++stream->captured;
    return cudaSuccess;
  }
  stream->queue.push_back(std::move(work));
  return cudaSuccess;
}

bool enqueueForeign(Stream* stream) {
  if (!stream->capture) count(Count::Kernels);
  if (enqueue(stream, [] {}, 1) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

cudaError_t unsafeCall(const char* call) {
  if (threadMode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  for (const auto& capture : captures()) {
    const bool here = capture->thread == pthread_self();
    const bool forbids = here ? capture->mode != cudaStreamCaptureModeRelaxed
                              : capture->mode == cudaStreamCaptureModeGlobal && threadMode == cudaStreamCaptureModeGlobal;
    if (forbids) return breakCapture(capture, call, cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

}  // namespace hollow

using namespace hollow;

HOLLOW cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  std::lock_guard guard(lock());
  *stream = reinterpret_cast<cudaStream_t>(makeStream());
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return cudaStreamCreateWithPriority(stream, 0, 0);
}
HOLLOW cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
HOLLOW cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  complete(stream);
  streams().erase(stream);
  delete stream;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) {
  *priority = 0;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  if (stream->capture) return breakCapture(stream->capture, "cudaStreamSynchronize", cudaErrorStreamCaptureUnsupported);
  if (auto broken = unsafeCall("cudaStreamSynchronize")) return broken;
  hostWaits("cudaStreamSynchronize");
  complete(stream);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamQuery(cudaStream_t handle) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  if (stream->capture) return breakCapture(stream->capture, "cudaStreamQuery", cudaErrorStreamCaptureUnsupported);
  complete(stream);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaDeviceSynchronize() {
  std::lock_guard guard(lock());
  for (const auto& capture : std::set(captures()))
    if (capture->mode != cudaStreamCaptureModeRelaxed || capture->thread == pthread_self())
      return breakCapture(capture, "cudaDeviceSynchronize", cudaErrorStreamCaptureUnsupported);
  hostWaits("cudaDeviceSynchronize");
  completeAll();
  return cudaSuccess;
}
HOLLOW cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  std::lock_guard guard(lock());
  return error(enqueue(streamOf(handle), [=] { function(data); }));
}
HOLLOW cudaError_t cudaStreamAddCallback(cudaStream_t handle, cudaStreamCallback_t function, void* data, unsigned) {
  std::lock_guard guard(lock());
  return error(enqueue(streamOf(handle), [=] { function(handle, cudaSuccess, data); }));
}

HOLLOW cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = reinterpret_cast<cudaEvent_t>(new Event);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
HOLLOW cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::lock_guard guard(lock());
  delete reinterpret_cast<Event*>(event);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t at, unsigned flags) {
  std::lock_guard guard(lock());
  auto& event = *reinterpret_cast<Event*>(handle);
  auto* stream = streamOf(at);
  if (stream->capture && flags != cudaEventRecordExternal) {
    event.capture = stream->capture;
    event.captured = stream->captured;
    event.stream = stream;
    return cudaSuccess;
  }
  event = {stream, stream->end(), false, nullptr, 0, seconds()};
  return cudaSuccess;
}
HOLLOW cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, 0);
}
// Never done at the first question: what asks must be able to wait.
HOLLOW cudaError_t cudaEventQuery(cudaEvent_t handle) {
  std::lock_guard guard(lock());
  auto& event = *reinterpret_cast<Event*>(handle);
  if (event.capture) return breakCapture(event.capture, "cudaEventQuery", cudaErrorCapturedEvent);
  if (auto broken = unsafeCall("cudaEventQuery")) return broken;
  if (!event.stream || event.stream->done >= event.position) return cudaSuccess;
  if (!event.asked) {
    event.asked = true;
    return cudaErrorNotReady;
  }
  complete(event.stream, event.position);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  std::lock_guard guard(lock());
  auto& event = *reinterpret_cast<Event*>(handle);
  if (event.capture) return breakCapture(event.capture, "cudaEventSynchronize", cudaErrorCapturedEvent);
  if (auto broken = unsafeCall("cudaEventSynchronize")) return broken;
  if (!event.stream || event.stream->done >= event.position) return cudaSuccess;
  hostWaits("cudaEventSynchronize");
  complete(event.stream, event.position);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  std::lock_guard guard(lock());
  *milliseconds = 1e3 * (reinterpret_cast<Event*>(to)->time - reinterpret_cast<Event*>(from)->time);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t awaited, unsigned flags) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  auto& event = *reinterpret_cast<Event*>(awaited);
  if (event.capture) {
    if (!stream->capture) {
      stream->capture = event.capture;  // it joins
      stream->captured = 0;
      event.capture->joined[stream] = 0;
    } else if (stream->capture != event.capture) {
      return breakCapture(event.capture, "a wait between two captures", cudaErrorStreamCaptureMerge);
    }
    auto& joined = event.capture->joined;
    if (auto found = joined.find(event.stream); found != joined.end())
      found->second = std::max(found->second, event.captured);
    return cudaSuccess;
  }
  if (stream->capture && flags != cudaEventWaitExternal) {
    if (!event.stream) return cudaSuccess;
    return breakCapture(stream->capture, "a wait for work outside", cudaErrorStreamCaptureIsolation);
  }
  if (!event.stream || event.stream == stream) return cudaSuccess;
  auto* other = event.stream;
  const auto position = event.position;
  stream->queue.push_back([=] { complete(other, position); });
  return cudaSuccess;
}

HOLLOW cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, threadMode);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  if (stream == streamOf(nullptr)) return error(cudaErrorStreamCaptureUnsupported);
  if (stream->capture) return error(cudaErrorIllegalState);
  static uint64_t made = 0;
  stream->capture = std::make_shared<Capture>(Capture{++made, stream, mode, std::make_shared<Graph>(), {}, pthread_self()});
  stream->captured = 0;
  captures().insert(stream->capture);
  count(Count::Captures);
  log("CAPTURE %lu begins on stream %d", static_cast<unsigned long>(made), stream->id);
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  std::lock_guard guard(lock());
  auto* stream = streamOf(handle);
  auto capture = stream->capture;
  *graph = nullptr;
  if (!capture) return error(cudaErrorIllegalState);
  if (capture->origin != stream) return error(cudaErrorStreamCaptureUnmatched);
  if (capture->thread != pthread_self() && capture->mode != cudaStreamCaptureModeRelaxed)
    return error(cudaErrorStreamCaptureWrongThread);
  captures().erase(capture);
  bool unjoined = false;
  for (auto* each : streams())
    if (each->capture == capture) {
      if (each != stream && capture->joined[each] < each->captured) unjoined = true;
      each->capture = nullptr;
    }
  if (capture->invalid) return error(cudaErrorStreamCaptureInvalidated);
  if (unjoined) return error(cudaErrorStreamCaptureUnjoined);
  log("CAPTURE %lu ends: %zu operations, %ld kernels", static_cast<unsigned long>(capture->id),
      capture->graph->work.size(), static_cast<long>(capture->graph->kernels));
  *graph = reinterpret_cast<cudaGraph_t>(new std::shared_ptr<Graph>(capture->graph));
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  std::lock_guard guard(lock());
  const auto& capture = streamOf(handle)->capture;
  *status = !capture              ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
HOLLOW cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id,
                                            cudaGraph_t* graph, const cudaGraphNode_t** nodes,
#if CUDART_VERSION >= 13000
                                            const cudaGraphEdgeData** edges,
#endif
                                            size_t* n) {
  std::lock_guard guard(lock());
  cudaStreamIsCapturing(handle, status);
  const auto& capture = streamOf(handle)->capture;
  if (id) *id = capture ? capture->id : 0;
  if (graph) *graph = nullptr;
  if (nodes) *nodes = nullptr;
#if CUDART_VERSION >= 13000
  if (edges) *edges = nullptr;
#endif
  if (n) *n = 0;
  return cudaSuccess;
}
