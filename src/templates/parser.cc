#include "templates/functions.h"
#include "templates/lexer.h"
#include "templates/tree.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <utility>

namespace templates {

using core::Result;

namespace {

constexpr size_t kDepthMax = 100;  // of nested blocks and brackets
constexpr size_t kTextSizeMax = 1U << 20;

// Go's integer and float constants; hexadecimal and octal too, underscores dropped.
std::optional<Value> parse_number(std::string text) {
  std::erase(text, '_');
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = 10;
  std::string_view whole = digits;
  if (whole.starts_with("0x") || whole.starts_with("0X")) {
    base = 16;
    whole.remove_prefix(2);
  } else if (whole.starts_with("0o") || whole.starts_with("0b")) {
    base = whole[1] == 'o' ? 8 : 2;
    whole.remove_prefix(2);
  } else if (whole.size() > 1 && whole[0] == '0' &&
             std::ranges::all_of(whole, [](char c) { return c >= '0' && c <= '9'; })) {
    base = 8;
  }
  const char* end = whole.data() + whole.size();
  int64_t number = 0;
  const auto as_int = std::from_chars(whole.data(), end, number, base);
  if (as_int.ec == std::errc() && as_int.ptr == end && !whole.starts_with('-')) {
    return Value(negative ? -number : number);
  }
  double real = 0;
  const auto as_float = std::from_chars(digits.data(), digits.data() + digits.size(), real);
  if (as_float.ec != std::errc() || as_float.ptr != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return Value(negative ? -real : real);
}

bool is_keyword(const Token& token) {
  static constexpr std::string_view kWords[] = {"if",    "else",     "end",    "range",    "with",
                                                "block", "template", "define", "continue", "break"};
  return token.kind == TokenKind::Identifier && std::ranges::count(kWords, token.text) > 0;
}

Node node_at(Node::Kind kind, Place place, std::string text = "") {
  Node node;
  node.kind = kind;
  node.place = place;
  node.text = std::move(text);
  return node;
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, const ParseOptions& options)
      : tokens_(std::move(tokens)), options_(options) {
    if (options.dialect == Dialect::Notifications) variables_ = {"$"};
  }

  Result<Tree> run() {
    std::string ended_by;
    Place place;
    TRY(list(tree_.root, ended_by, place));
    if (!ended_by.empty()) return error_at(place, fmt::format("unexpected {{{{{}}}}}", ended_by));
    return std::move(tree_);
  }

 private:
  const Token& peek() const { return tokens_[at_]; }
  Token take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_[at_]; }
  void skip_space() {
    while (peek().kind == TokenKind::Space) take();
  }

  tl::unexpected<core::Error> unexpected(const Token& token, std::string_view where) const {
    if (token.kind == TokenKind::End) {
      return error_at(token.place, fmt::format("unexpected end of template in {}", where));
    }
    return error_at(token.place, fmt::format("unexpected \"{}\" in {}", token.text, where));
  }

  Result<void> close(std::string_view where) {
    skip_space();
    if (peek().kind != TokenKind::Close) return unexpected(peek(), where);
    take();
    return {};
  }

  // Nodes up to {{end}} or {{else}}, whose word goes to `ended_by`, or the end of the text.
  // After "else" the rest of that action is still to be read.
  Result<void> list(std::vector<Node>& nodes, std::string& ended_by, Place& place) {
    if (++depth_ > kDepthMax) return error_at(peek().place, "nested too deeply");
    ended_by.clear();
    while (peek().kind != TokenKind::End) {
      if (peek().kind == TokenKind::Text) {
        Token text = take();
        nodes.push_back(node_at(Node::Kind::Text, text.place, std::move(text.text)));
        continue;
      }
      place = take().place;  // {{
      skip_space();
      if (is_keyword(peek()) && (peek().text == "end" || peek().text == "else")) {
        ended_by = take().text;
        if (ended_by == "end") TRY(close("end"));
        break;
      }
      TRY(action(nodes, place));
    }
    --depth_;
    return {};
  }

  Result<void> action(std::vector<Node>& nodes, Place place) {
    if (!is_keyword(peek())) {
      Node node = node_at(Node::Kind::Action, place);
      node.pipeline = TRY(pipeline(TokenKind::Close, "command"));
      nodes.push_back(std::move(node));
      return {};
    }
    const Token word = take();
    if (word.text == "if") return control(nodes, Node::Kind::If, place, "if");
    if (word.text == "with") return control(nodes, Node::Kind::With, place, "with");
    if (word.text == "range") return control(nodes, Node::Kind::Range, place, "range");
    if (word.text == "template") return call_template(nodes, place);
    if (word.text == "define") return define(place);
    if (word.text == "block") return block(nodes, place);
    if (range_depth_ == 0) {
      return error_at(place, fmt::format("{{{{{}}}}} outside {{{{range}}}}", word.text));
    }
    TRY(close(word.text));
    const bool is_break = word.text == "break";
    nodes.push_back(node_at(is_break ? Node::Kind::Break : Node::Kind::Continue, place));
    return {};
  }

  Result<void> control(std::vector<Node>& nodes, Node::Kind kind, Place place,
                       std::string_view word) {
    const size_t variables_before = variables_.size();
    Node node = node_at(kind, place);
    in_range_head_ = kind == Node::Kind::Range;
    node.pipeline = TRY(pipeline(TokenKind::Close, word));
    in_range_head_ = false;
    range_depth_ += kind == Node::Kind::Range ? 1 : 0;
    std::string ended_by;
    Place end_place;
    TRY(list(node.body, ended_by, end_place));
    range_depth_ -= kind == Node::Kind::Range ? 1 : 0;
    if (ended_by == "else") TRY(otherwise(node, kind, ended_by, end_place));
    if (ended_by.empty()) {
      return error_at(place, fmt::format("{{{{{}}}}} without {{{{end}}}}", word));
    }
    variables_.resize(variables_before);
    nodes.push_back(std::move(node));
    return {};
  }

  // Behind "{{else": either "}}" and a list, or "if" / "with" as a nested block that
  // shares our {{end}}.
  Result<void> otherwise(Node& node, Node::Kind kind, std::string& ended_by, Place& end_place) {
    skip_space();
    const bool chained =
        is_keyword(peek()) && ((peek().text == "if" && kind == Node::Kind::If) ||
                               (peek().text == "with" && kind == Node::Kind::With));
    if (chained) {
      const Token word = take();
      if (++depth_ > kDepthMax) return error_at(word.place, "nested too deeply");
      TRY(control(node.otherwise, kind, word.place, word.text));
      --depth_;
      ended_by = "end";
      return {};
    }
    TRY(close("else"));
    TRY(list(node.otherwise, ended_by, end_place));
    if (ended_by == "else") return error_at(end_place, "second {{else}}");
    return {};
  }

  Result<std::string> template_name(std::string_view where) {
    skip_space();
    if (peek().kind != TokenKind::String) return unexpected(peek(), where);
    return take().text;
  }

  Result<void> call_template(std::vector<Node>& nodes, Place place) {
    Node node = node_at(Node::Kind::Template, place);
    node.text = TRY(template_name("template clause"));
    skip_space();
    node.has_pipeline = peek().kind != TokenKind::Close;
    if (node.has_pipeline) {
      node.pipeline = TRY(pipeline(TokenKind::Close, "template clause"));
    } else {
      take();
    }
    nodes.push_back(std::move(node));
    return {};
  }

  Result<void> body_of(const std::string& name, Place place, std::string_view word) {
    std::vector<std::string> variables{"$"};
    std::swap(variables, variables_);
    const size_t range_depth = std::exchange(range_depth_, 0);
    std::string ended_by;
    Place end_place;
    std::vector<Node> body;
    TRY(list(body, ended_by, end_place));
    if (ended_by != "end") {
      return error_at(place, fmt::format("{{{{{}}}}} without {{{{end}}}}", word));
    }
    const bool empty = std::ranges::all_of(body, [](const Node& node) {
      return node.kind == Node::Kind::Text &&
             node.text.find_first_not_of(" \t\r\n") == std::string::npos;
    });
    const bool known = tree_.defined.contains(name);
    if (known && options_.dialect == Dialect::Rules) {
      return error_at(place, fmt::format("template \"{}\" is defined twice", name));
    }
    // As in Go: the later one counts, unless it is blank.
    if (!known || !empty) {
      tree_.defined.insert_or_assign(name,
                                     std::make_shared<const std::vector<Node>>(std::move(body)));
    }
    std::swap(variables, variables_);
    range_depth_ = range_depth;
    return {};
  }

  Result<void> define(Place place) {
    if (depth_ > 1) return error_at(place, "unexpected {{define}} inside a block");
    const std::string name = TRY(template_name("define clause"));
    TRY(close("define clause"));
    return body_of(name, place, "define");
  }

  Result<void> block(std::vector<Node>& nodes, Place place) {
    Node node = node_at(Node::Kind::Template, place);
    node.text = TRY(template_name("block clause"));
    node.pipeline = TRY(pipeline(TokenKind::Close, "block clause"));
    TRY(body_of(node.text, place, "block"));
    nodes.push_back(std::move(node));
    return {};
  }

  // Up to and including `end`.
  Result<Pipeline> pipeline(TokenKind end, std::string_view where) {
    if (++depth_ > kDepthMax) return error_at(peek().place, "nested too deeply");
    Pipeline result;
    skip_space();
    result.place = peek().place;
    if (end == TokenKind::Close) TRY(declaration(result));
    for (;;) {
      skip_space();
      if (peek().kind == end) {
        if (result.commands.empty()) {
          return error_at(peek().place, fmt::format("missing value for {}", where));
        }
        take();
        break;
      }
      if (!result.commands.empty()) {
        if (peek().kind != TokenKind::Pipe) return unexpected(peek(), where);
        take();
        skip_space();
      }
      Command next = TRY(command(where, !result.commands.empty()));
      result.commands.push_back(std::move(next));
    }
    --depth_;
    // Declared only now: a pipeline cannot use what it declares.
    if (result.declares) {
      variables_.insert(variables_.end(), result.variables.begin(), result.variables.end());
    }
    return result;
  }

  // "$x :=", "$x =" and, at the head of a range, "$i, $x :=".
  Result<void> declaration(Pipeline& result) {
    size_t at = at_;
    std::vector<Token> names;
    const auto skip = [this, &at] {
      while (tokens_[at].kind == TokenKind::Space) ++at;
    };
    while (tokens_[at].kind == TokenKind::Variable) {
      names.push_back(tokens_[at++]);
      skip();
      if (tokens_[at].kind != TokenKind::Comma) break;
      ++at;
      skip();
    }
    const TokenKind kind = tokens_[at].kind;
    if (names.empty() || (kind != TokenKind::Declare && kind != TokenKind::Assign)) return {};
    if (names.size() > (in_range_head_ ? 2U : 1U)) {
      return error_at(names.back().place, "too many declarations");
    }
    result.declares = kind == TokenKind::Declare;
    for (Token& name : names) {
      if (!result.declares && std::ranges::count(variables_, name.text) == 0) {
        return error_at(name.place, fmt::format("undefined variable \"{}\"", name.text));
      }
      result.variables.push_back(std::move(name.text));
    }
    at_ = at + 1;
    return {};
  }

  Result<Command> command(std::string_view where, bool is_piped_into) {
    Command result;
    result.place = peek().place;
    for (;;) {
      Operand next = TRY(operand(where));
      result.operands.push_back(std::move(next));
      const bool blank = peek().kind == TokenKind::Space;
      skip_space();
      const TokenKind kind = peek().kind;
      if (kind == TokenKind::Pipe || kind == TokenKind::Close || kind == TokenKind::RightBracket) {
        break;
      }
      if (!blank) return unexpected(peek(), where);
    }
    TRY(resolve(result, is_piped_into));
    return result;
  }

  // Function names must exist; bare words become labels outside strict mode.
  Result<void> resolve(Command& command, bool is_piped_into) {
    for (size_t i = 0; i < command.operands.size(); ++i) {
      Operand& operand = command.operands[i];
      if (operand.kind != Operand::Kind::Function) continue;
      const bool has_arguments = i == 0 && (command.operands.size() > 1 || is_piped_into);
      const bool known = find_function(operand.name, options_.dialect) != nullptr;
      const bool sugar = !options_.strict && options_.dialect == Dialect::Rules && !has_arguments &&
                         (!known || operand.name == "value");
      if (sugar) {
        operand.fields.insert(operand.fields.begin(), operand.name);
        if (known) operand.fields.front() = "Value";
        if (!known) operand.fields.insert(operand.fields.begin(), "Labels");
        operand.kind = Operand::Kind::Variable;
        operand.name = "$";
      } else if (!known) {
        return error_at(operand.place, fmt::format("function \"{}\" not defined", operand.name));
      }
    }
    const bool may_be_method =
        options_.dialect == Dialect::Notifications && !command.operands[0].fields.empty();
    if (is_piped_into && command.operands[0].kind != Operand::Kind::Function && !may_be_method) {
      return error_at(command.place, "a value cannot be piped into what is no function");
    }
    return {};
  }

  Result<Operand> operand(std::string_view where) {
    const Token token = take();
    Operand result;
    result.place = token.place;
    switch (token.kind) {
      case TokenKind::Dot:
        break;
      case TokenKind::Field:
        result.fields.push_back(token.text);
        break;
      case TokenKind::Variable:
        if (std::ranges::count(variables_, token.text) == 0) {
          return error_at(token.place, fmt::format("undefined variable \"{}\"", token.text));
        }
        result.kind = Operand::Kind::Variable;
        result.name = token.text;
        break;
      case TokenKind::LeftBracket: {
        Pipeline inner = TRY(pipeline(TokenKind::RightBracket, "parenthesized pipeline"));
        result.kind = Operand::Kind::Pipeline;
        result.pipeline = std::make_shared<const Pipeline>(std::move(inner));
        break;
      }
      default: {
        const bool is_word = TRY(word(token, result));
        if (!is_word) return unexpected(token, where);
      }
    }
    while (peek().kind == TokenKind::Field) result.fields.push_back(take().text);
    return result;
  }

  // Constants and function names.
  Result<bool> word(const Token& token, Operand& result) {
    result.kind = Operand::Kind::Constant;
    if (token.kind == TokenKind::String) {
      result.constant = Value(token.text);
      return true;
    }
    if (token.kind == TokenKind::Character) {
      // Its code point; a byte escape above 0x7f stands for itself.
      const auto lead = static_cast<uint8_t>(token.text[0]);
      uint32_t code = lead;
      if (token.text.size() > 1) {
        code = lead & (0xffU >> (token.text.size() + 1));
        for (size_t i = 1; i < token.text.size(); ++i) {
          code = code << 6 | (static_cast<uint8_t>(token.text[i]) & 0x3f);
        }
      }
      result.constant = Value(static_cast<int64_t>(code));
      return true;
    }
    if (token.kind == TokenKind::Number) {
      const std::optional<Value> number = parse_number(token.text);
      if (!number) return error_at(token.place, fmt::format("bad number \"{}\"", token.text));
      result.constant = *number;
      return true;
    }
    if (token.kind != TokenKind::Identifier || is_keyword(token)) return false;
    if (token.text == "true" || token.text == "false") {
      result.constant = Value(token.text == "true");
    } else if (token.text != "nil") {
      result.kind = Operand::Kind::Function;
      result.name = token.text;
    }
    return true;
  }

  std::vector<Token> tokens_;
  const ParseOptions& options_;
  size_t at_ = 0;
  size_t depth_ = 0;
  size_t range_depth_ = 0;
  bool in_range_head_ = false;
  std::vector<std::string> variables_{"$", "$labels", "$value", "$externalLabels", "$externalURL"};
  Tree tree_;
};

}  // namespace

Result<Tree> parse_tree(std::string_view text, const ParseOptions& options) {
  if (text.size() > kTextSizeMax) {
    return core::fail(core::ErrorCode::TooLarge, "template of {} bytes", text.size());
  }
  std::vector<Token> tokens = TRY(lex(text));
  return Parser(std::move(tokens), options).run();
}

}  // namespace templates
