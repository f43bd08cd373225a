// Words of a template: text outside the braces, tokens inside.

#pragma once

#include "core/result.h"
#include "templates/tree.h"

#include <string>
#include <string_view>
#include <vector>

namespace templates {

enum class TokenKind {
  Text,
  Open,   // {{
  Close,  // }}
  Space,
  Dot,
  Field,       // .name; text is "name"
  Variable,    // $ or $name
  Identifier,  // functions and keywords
  Number,
  Character,
  String,  // unquoted
  Pipe,
  Declare,  // :=
  Assign,   // =
  Comma,
  LeftBracket,   // (
  RightBracket,  // )
  End,
};

struct Token {
  TokenKind kind = TokenKind::End;
  Place place;
  std::string text;
};

core::Result<std::vector<Token>> lex(std::string_view text);
tl::unexpected<core::Error> error_at(Place place, std::string_view message);

}  // namespace templates
