// Registers a C++ function under a name: arguments are converted and checked by their C++ types,
// exceptions become TorchErrors that name the operation.
#pragma once
#include <type_traits>
#include <utility>

#include "async.h"
#include "convert.h"

namespace afa {

class Exports {
 public:
  Exports(Napi::Env env, Napi::Object target) : env_(env), target_(target) {}

  // def("add", {"self", "other"}, +[](at::Tensor a, Operand b) { return at::add(a, b.tensor); });
  // A first parameter of type Napi::Env takes no JavaScript argument.
  template <class R, class... A>
  void def(const char* op, std::vector<const char*> names, R (*fn)(A...)) {
    add<Binding<R, A...>>(op, &Binding<R, A...>::call, new Binding<R, A...>{op, std::move(names), fn});
  }

  // The same, run on the addon's own compute thread; JavaScript receives a promise.
  template <class R, class... A>
  void defAsync(const char* op, std::vector<const char*> names, R (*fn)(A...)) {
    add<Binding<R, A...>>(op, &Binding<R, A...>::callAsync, new Binding<R, A...>{op, std::move(names), fn});
  }

 private:
  template <class R, class... A>
  struct Binding {
    const char* op;
    std::vector<const char*> names;
    R (*fn)(A...);

    static constexpr bool takesEnv = std::is_same_v<std::tuple_element_t<0, std::tuple<A..., void>>, Napi::Env>;
    static constexpr size_t count = sizeof...(A) - (takesEnv ? 1 : 0);

    template <class T, size_t I>
    T convert(const Napi::CallbackInfo& info) const {
      if constexpr (std::is_same_v<T, Napi::Env>) {
        return info.Env();
      } else {
        constexpr size_t index = I - (takesEnv ? 1 : 0);
        return FromJs<T>::get({info.Env(), info[index], op, index < names.size() ? names[index] : "?"});
      }
    }

    template <size_t... I>
    std::tuple<A...> arguments(const Napi::CallbackInfo& info, std::index_sequence<I...>) const {
      return std::tuple<A...>{convert<A, I>(info)...};
    }

    static Napi::Value call(const Napi::CallbackInfo& info) {
      const auto& self = *static_cast<Binding*>(info.Data());
      return guard(info.Env(), self.op, [&]() -> Napi::Value {
        auto args = self.arguments(info, std::index_sequence_for<A...>{});
        if constexpr (std::is_void_v<R>) {
          std::apply(self.fn, std::move(args));
          return info.Env().Undefined();
        } else {
          return toJs(info.Env(), std::apply(self.fn, std::move(args)));
        }
      });
    }

    static Napi::Value callAsync(const Napi::CallbackInfo& info) {
      const auto& self = *static_cast<Binding*>(info.Data());
      return guard(info.Env(), self.op, [&]() -> Napi::Value {
        auto args = std::make_shared<std::tuple<A...>>(self.arguments(info, std::index_sequence_for<A...>{}));
        auto result = std::make_shared<std::optional<R>>();
        return runAsync(
            info.Env(), self.op, [fn = self.fn, args, result] { result->emplace(std::apply(fn, std::move(*args))); },
            [result](Napi::Env env) { return toJs(env, std::move(**result)); });
      });
    }
  };

  // `length` says how many arguments there are, as of any function: by it JavaScript knows an addon of another version.
  // The binding lives as long as the process.
  template <class B>
  void add(const char* op, Napi::Value (*call)(const Napi::CallbackInfo&), B* binding) {
    auto function = Napi::Function::New(env_, call, op, binding);
    const auto count = Napi::Number::New(env_, static_cast<double>(B::count));
    function.DefineProperty(Napi::PropertyDescriptor::Value("length", count, napi_configurable));
    target_.Set(op, function);
  }

  Napi::Env env_;
  Napi::Object target_;
};

}  // namespace afa
