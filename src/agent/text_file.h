// Reading the kernel's text files: whole, then word by word.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agent {

// Replaces `text` by the file's content. NotFound when there is no such file (or the
// kernel says that it has no value now); Io otherwise. The files of /proc tell no size,
// so this reads until the end, 1 MiB at most: none of those read here is larger.
core::Result<void> read_text(const std::string& path, std::string& text);

// The content without the newline at its end; nullopt when it cannot be read.
std::optional<std::string> read_value(const std::string& path);
// The same as a number; 0x... is hexadecimal.
std::optional<double> read_number(const std::string& path);

// Names in a folder, sorted; empty when there is no such folder.
std::vector<std::string> list_folder(const std::string& path);

// Takes the next line off the front of `text`, without its newline.
std::string_view take_line(std::string_view& text);
// Takes the next word; "" at the end.
std::string_view take_word(std::string_view& line);
// The whole word as a number, decimal or 0x... hexadecimal.
std::optional<double> to_number(std::string_view word);

}  // namespace agent
