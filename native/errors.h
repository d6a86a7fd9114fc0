// The one place where C++ exceptions become JavaScript errors.
#pragma once
#include <napi.h>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

namespace afa {

// A fault in what the caller passed: message already in people's words.
struct ArgumentError : std::runtime_error {
  ArgumentError(std::string code, const std::string& message)
      : std::runtime_error(message), code(std::move(code)) {}
  std::string code;
};

[[noreturn]] void invalidArgument(const std::string& message);

struct ErrorInfo {
  std::string code;     // ERR_INVALID_ARG, ERR_DISPOSED, ERR_OUT_OF_MEMORY, ERR_DISTRIBUTED, ERR_NOT_DETERMINISTIC, ERR_TORCH, ERR_INTERNAL
  std::string message;  // without a C++ backtrace
  std::optional<int> rank = std::nullopt;  // the process that speaks, where there are several
};

// An error that was described where more was known of it.
struct ReportedError : std::runtime_error {
  explicit ReportedError(ErrorInfo info) : std::runtime_error(info.message), info(std::move(info)) {}
  ErrorInfo info;
};

// Describes the exception being handled; call only inside a catch block or with a captured pointer.
ErrorInfo describe(std::exception_ptr error);

// A JS TorchError {message, code, op}; its class was handed over by initialize().
Napi::Value makeTorchError(Napi::Env env, const ErrorInfo& info, const std::string& op);

// Runs f; whatever it throws becomes a pending JS exception and an empty value is returned.
template <class F>
Napi::Value guard(Napi::Env env, const char* op, F&& f) {
  try {
    return f();
  } catch (const Napi::Error& e) {
    e.ThrowAsJavaScriptException();
  } catch (...) {
    napi_throw(env, makeTorchError(env, describe(std::current_exception()), op));
  }
  return Napi::Value();
}

}  // namespace afa
