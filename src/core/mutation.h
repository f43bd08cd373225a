// Faults built in on purpose, to prove that the simulations notice them.
//
//   if (!PETREL_MUTATED("log-no-sync")) TRY(file->sync());
//
// In every normal build the condition is the constant false. With the CMake option
// PETREL_MUTATIONS one mutation at a time can be switched on by its name.

#pragma once

#ifdef PETREL_MUTATIONS

#include <string>
#include <string_view>

namespace core {

// The mutation that is on; empty: none. Set before anything runs.
inline std::string& active_mutation() {
  static std::string name;
  return name;
}
inline bool is_mutated(std::string_view name) {
  return active_mutation() == name;
}

}  // namespace core

#define PETREL_MUTATED(name) (::core::is_mutated(name))
#else
#define PETREL_MUTATED(name) false
#endif
