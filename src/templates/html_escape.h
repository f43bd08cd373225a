// What a value must look like where it is put into an HTML page.

#pragma once

#include "templates/value.h"

#include <string>
#include <string_view>

namespace templates {

std::string escape_html(std::string_view text);

// `page` is what stands before: between tags and in attributes the value is escaped; in
// an attribute that holds an address it cannot become a script.
std::string escaped_for(std::string_view page, const Value& value);

}  // namespace templates
