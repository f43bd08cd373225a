// Where work runs. Only app creates threads; everyone else is handed one of these.

#pragma once

#include <cstdint>
#include <functional>

namespace core {

using Task = std::function<void()>;

// Thread-safe. Tasks of one executor may run at the same time and in any order.
class Executor {
 public:
  virtual ~Executor() = default;
  // False when the bounded queue is full or the executor is stopping; the task is
  // then dropped and the caller tells its client to come back later.
  [[nodiscard]] virtual bool post(Task task) = 0;
};

}  // namespace core
