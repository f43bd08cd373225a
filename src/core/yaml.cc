#include "core/yaml.h"

#include "core/utf8.h"

#include <fmt/format.h>
#include <istream>
#include <map>
#include <optional>
#include <streambuf>
#include <unordered_set>
#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace core {

namespace {

// Deeper than any configuration; keeps the recursion of readers and destructors small.
constexpr size_t kDepthMax = 100;
// Aliases multiply ("billion laughs"): what they expand to is bounded.
constexpr size_t kNodesMax = 1'000'000;
constexpr size_t kTextSizeMax = 32U << 20;

// Leaves the parser; caught in parse_yaml().
struct Refused {
  int line;
  int column;
  std::string message;
};

Refused refused(const YAML::Mark& mark, std::string message) {
  return {mark.line + 1, mark.column + 1, std::move(message)};
}

Refused refused(const Yaml& at, std::string message) {
  return {at.line, at.column, std::move(message)};
}

// Reads the text in place; yaml-cpp wants a stream.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // only ever read
    setg(begin, begin, begin + text.size());
  }
};

bool is_known_tag(const std::string& tag) {
  static constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (tag.empty() || tag == "?" || tag == "!") return true;
  if (!tag.starts_with(kCore)) return false;
  const std::string_view type = std::string_view(tag).substr(kCore.size());
  for (std::string_view known : {"str", "int", "float", "bool", "null", "seq", "map"}) {
    if (type == known) return true;
  }
  return false;
}

// Builds the tree from yaml-cpp's events rather than from its nodes: those accept
// repeated keys and have lost where an alias stood.
class TreeBuilder final : public YAML::EventHandler {
 public:
  Yaml take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(Yaml::Kind::Null, mark), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    Yaml node = make(Yaml::Kind::Scalar, mark);
    node.text = value;
    node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw refused(mark, "alias to a node that it is a part of");
    nodes_ += known->second.nodes;
    if (nodes_ > kNodesMax) throw refused(mark, "aliases expand to too many nodes");
    if (open_.size() + known->second.depth > kDepthMax) throw refused(mark, "nested too deeply");
    attach(known->second.node, known->second.depth);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Yaml::Kind::Sequence, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Yaml::Kind::Mapping, mark, anchor);
  }
  void OnMapEnd() override {
    if (open_.back().has_merge) merge(open_.back().node);
    close();
  }

 private:
  struct Open {
    Yaml node;
    YAML::anchor_t anchor;
    size_t nodes_before;
    size_t depth = 1;         // of the deepest path below, this node included
    std::optional<Yaml> key;  // of a mapping: read, its value still to come
    bool has_merge = false;
    std::unordered_set<std::string> keys;
  };
  struct Anchored {
    Yaml node;
    size_t nodes;
    size_t depth;
  };

  Yaml make(Yaml::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kNodesMax) throw refused(mark, "too many nodes");
    Yaml node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!is_known_tag(tag)) throw refused(mark, fmt::format("unknown tag \"{}\"", tag));
  }

  void open(Yaml::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kDepthMax) throw refused(mark, "nested too deeply");
    const size_t before = nodes_;
    open_.push_back({.node = make(kind, mark),
                     .anchor = anchor,
                     .nodes_before = before,
                     .key = std::nullopt,
                     .keys = {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    remember(done.node, done.anchor, nodes_ - done.nodes_before, done.depth);
    attach(std::move(done.node), done.depth);
  }

  void add(Yaml node, YAML::anchor_t anchor) {
    remember(node, anchor, 1, 1);
    attach(std::move(node), 1);
  }

  void remember(const Yaml& node, YAML::anchor_t anchor, size_t nodes, size_t depth) {
    if (anchor == YAML::NullAnchor) return;
    // The copy counts as well: many nested anchors would otherwise cost a square.
    nodes_ += nodes;
    if (nodes_ > kNodesMax) throw refused(node, "too many nodes");
    anchors_[anchor] = {node, nodes, depth};
  }

  void attach(Yaml node, size_t depth) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    parent.depth = std::max(parent.depth, depth + 1);
    if (parent.node.kind == Yaml::Kind::Sequence) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.key) {
      take_key(parent, std::move(node));
      return;
    }
    parent.node.members.emplace_back(std::move(*parent.key), std::move(node));
    parent.key.reset();
  }

  static void take_key(Open& parent, Yaml key) {
    if (key.kind != Yaml::Kind::Scalar) {
      throw refused(key, fmt::format("a key must be a text, not a {}", key.kind_name()));
    }
    if (!parent.keys.insert(key.text).second) {
      throw refused(key, fmt::format("repeated key \"{}\"", key.text));
    }
    if (key.text == "<<" && !key.quoted) parent.has_merge = true;
    parent.key = std::move(key);
  }

  // yaml.org/type/merge: keys of the mapping itself win, then those of earlier sources.
  void merge(Yaml& mapping) {
    std::vector<std::pair<Yaml, Yaml>> own;
    Yaml sources;
    for (auto& member : mapping.members) {
      if (member.first.text == "<<" && !member.first.quoted) {
        sources = std::move(member.second);
      } else {
        own.push_back(std::move(member));
      }
    }
    mapping.members = std::move(own);
    if (sources.kind == Yaml::Kind::Mapping) {
      merge_one(mapping, std::move(sources));
      return;
    }
    if (sources.kind != Yaml::Kind::Sequence) throw refused(sources, "<< needs a mapping");
    for (Yaml& source : sources.items) merge_one(mapping, std::move(source));
  }

  void merge_one(Yaml& mapping, Yaml source) {
    if (source.kind != Yaml::Kind::Mapping) throw refused(source, "<< needs a mapping");
    std::unordered_set<std::string>& keys = open_.back().keys;
    for (auto& member : source.members) {
      if (keys.insert(member.first.text).second) mapping.members.push_back(std::move(member));
    }
  }

  Yaml root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  size_t nodes_ = 0;
};

Error error_at(std::string_view file, int line, int column, std::string_view message) {
  return {ErrorCode::InvalidArgument, fmt::format("{}:{}:{}: {}", file, line, column, message)};
}

// Columns count bytes, as those of yaml-cpp.
// Where a line's indentation has a tab, which yaml-cpp notices only further on; 0: nowhere.
int column_of_tab(std::string_view text, int line) {
  for (; line > 1 && !text.empty(); --line) {
    const size_t end = text.find('\n');
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  const size_t column = text.find_first_not_of(' ');
  return column != std::string_view::npos && text[column] == '\t' ? static_cast<int>(column) + 1
                                                                  : 0;
}

Error utf8_error(std::string_view text, std::string_view file) {
  int line = 1;
  int column = 1;
  while (const size_t size = utf8_sequence_length(text)) {
    column = text.front() == '\n' ? 1 : column + static_cast<int>(size);
    line += text.front() == '\n' ? 1 : 0;
    text.remove_prefix(size);
  }
  return error_at(file, line, column, "not valid UTF-8");
}

}  // namespace

Yaml::Yaml() = default;
Yaml::~Yaml() = default;
Yaml::Yaml(const Yaml& other) = default;
Yaml::Yaml(Yaml&& other) noexcept = default;
Yaml& Yaml::operator=(const Yaml& other) = default;
Yaml& Yaml::operator=(Yaml&& other) noexcept = default;

const Yaml* Yaml::find(std::string_view key) const {
  for (const auto& member : members) {
    if (member.first.text == key) return &member.second;
  }
  return nullptr;
}

std::string_view Yaml::kind_name() const {
  switch (kind) {
    case Kind::Null:
      return "null";
    case Kind::Scalar:
      return "text";
    case Kind::Sequence:
      return "sequence";
    case Kind::Mapping:
      return "mapping";
  }
  return "?";
}

Error yaml_error(std::string_view file, const Yaml& node, std::string_view message) {
  return error_at(file, node.line, node.column, message);
}

Result<Yaml> parse_yaml(std::string_view text, std::string_view file) {
  if (text.size() > kTextSizeMax) {
    return fail(ErrorCode::TooLarge, "{}: {} bytes, at most {} are read", file, text.size(),
                kTextSizeMax);
  }
  // yaml-cpp would read other bytes as UTF-16 or replace them, silently.
  if (!is_utf8(text)) return tl::unexpected(utf8_error(text, file));
  if (text.find('\0') != std::string_view::npos) {
    return fail(ErrorCode::InvalidArgument, "{}: holds a NUL byte", file);
  }
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    TreeBuilder first;
    if (!parser.HandleNextDocument(first)) {
      Yaml empty;
      empty.line = empty.column = 1;
      return empty;
    }
    Yaml root = first.take_root();
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      const Yaml extra = second.take_root();
      return tl::unexpected(yaml_error(file, extra, "a second document; only one is read"));
    }
    if (root.line == 0) root.line = root.column = 1;
    return root;
  } catch (const Refused& error) {
    return tl::unexpected(error_at(file, error.line, error.column, error.message));
  } catch (const YAML::Exception& error) {
    const int line = error.mark.line + 1;
    if (const int column = column_of_tab(text, line); column > 0) {
      return tl::unexpected(
          error_at(file, line, column, "a tab in the indentation, expected spaces"));
    }
    return tl::unexpected(error_at(file, line, error.mark.column + 1, error.msg));
  }
}

}  // namespace core
