// The worked example of a format document: the first fenced block after "## Example" in
// docs/formats/<file>, hexadecimal bytes in front of '|' comments.

#pragma once

#include <string>

namespace storage::testing {

// Empty when there is none.
std::string bytes_of_example(const std::string& document_path);

}  // namespace storage::testing
