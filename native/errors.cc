#include "errors.h"

#include <ATen/ATen.h>

#include <new>
#include <string_view>

#include "addon_data.h"

namespace afa {

namespace {

// Those who ask for memory beside libtorch's allocator, and throw an error like any other: the CPU's, CUDA (contexts,
// pinned memory, graphs), and NVIDIA's libraries.
bool tellsOfNoMemory(std::string_view message) {
  for (const std::string_view words : {"can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
                                       "CUDNN_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"})
    if (message.find(words) != std::string_view::npos) return true;
  return false;
}

}  // namespace

void invalidArgument(const std::string& message) { throw ArgumentError("ERR_INVALID_ARG", message); }

ErrorInfo describe(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const ArgumentError& e) {
    return {e.code, e.what()};
  } catch (const ReportedError& e) {
    return e.info;
  } catch (const c10::DistError& e) {
    return {"ERR_DISTRIBUTED", e.what_without_backtrace()};
  } catch (const c10::OutOfMemoryError& e) {
    return {"ERR_OUT_OF_MEMORY", e.what_without_backtrace()};
  } catch (const c10::Error& e) {
    std::string message = e.what_without_backtrace();
    const auto undetermined = message.find(" does not have a deterministic implementation");
    if (undetermined != std::string::npos)
      return {"ERR_NOT_DETERMINISTIC", message.substr(0, undetermined) + " has no deterministic form on this device; "
              "leave --deterministic out, or compute on the CPU, where all that training needs has one"};
    return {tellsOfNoMemory(message) ? "ERR_OUT_OF_MEMORY" : "ERR_TORCH", message};
  } catch (const std::runtime_error& e) {
    return {"ERR_TORCH", e.what()};  // libtorch's value conversions throw these
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY", "out of memory"};
  } catch (const std::exception& e) {
    return {"ERR_INTERNAL", e.what()};
  } catch (...) {
    return {"ERR_INTERNAL", "unknown C++ exception"};
  }
}

Napi::Value makeTorchError(Napi::Env env, const ErrorInfo& info, const std::string& op) {
  auto message = Napi::String::New(env, info.message);
  auto code = Napi::String::New(env, info.code);
  auto opName = Napi::String::New(env, op);
  auto rank = info.rank ? Napi::Number::New(env, *info.rank) : env.Undefined();
  auto& errorClass = AddonData::of(env).errorClass;
  if (!errorClass.IsEmpty()) return errorClass.New({message, code, opName, rank});
  auto plain = Napi::Error::New(env, info.message).Value();
  plain.Set("code", code);
  plain.Set("op", opName);
  return plain;
}

}  // namespace afa
