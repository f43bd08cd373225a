#include "alertstore/sqlite_store.h"

#include <fcntl.h>
#include <mutex>
#include <sqlite3.h>
#include <unistd.h>

namespace alertstore {

using core::ErrorCode;
using core::Result;

namespace {

// "PTRL": tells our files from other people's SQLite databases.
constexpr int kApplicationId = 0x5054524c;
constexpr int kSchemaVersion = 1;
// Only a backup or a curious shell holds the file besides us.
constexpr int kBusyTimeoutMs = 5'000;

ErrorCode code_of(int status) {
  switch (status & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::Corruption;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::Unavailable;
    case SQLITE_FULL:
      return ErrorCode::LimitExceeded;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorCode::PermissionDenied;
    case SQLITE_TOOBIG:
      return ErrorCode::TooLarge;
    default:
      return ErrorCode::Io;
  }
}

// The smallest key above every key that starts with `prefix`; "" when there is none.
std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace

// The connection, its prepared statements and the lock over both.
struct SqliteStore::Connection {
  explicit Connection(std::string file) : path(std::move(file)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    for (sqlite3_stmt* statement : {put, remove, select, range}) sqlite3_finalize(statement);
    sqlite3_close(database);
  }

  tl::unexpected<core::Error> error(int status, std::string_view what) const {
    const char* text = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(status);
    return core::fail(code_of(status), "alert store {}: {}: {}", path, what, text);
  }

  Result<void> execute(const char* sql) {
    const int status = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
    if (status != SQLITE_OK) return error(status, sql);
    return {};
  }

  // The first column of the first row, as text.
  Result<std::string> ask(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    int status = sqlite3_prepare_v2(database, sql, -1, &statement, nullptr);
    std::string answer;
    if (status == SQLITE_OK) {
      status = sqlite3_step(statement);
      if (status == SQLITE_ROW) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
        if (text != nullptr) answer = text;
      }
    }
    if (status != SQLITE_ROW && status != SQLITE_DONE) {
      auto failed = error(status, sql);
      sqlite3_finalize(statement);
      return failed;
    }
    sqlite3_finalize(statement);
    return answer;
  }

  Result<void> prepare(sqlite3_stmt*& statement, const char* sql) {
    const int status =
        sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (status != SQLITE_OK) return error(status, sql);
    return {};
  }

  static void bind(sqlite3_stmt* statement, int index, std::string_view bytes) {
    // A null pointer would bind NULL, and "" is a value.
    const char* data = bytes.empty() ? "" : bytes.data();
    sqlite3_bind_blob64(statement, index, data, bytes.size(), SQLITE_STATIC);
  }

  static std::string column(sqlite3_stmt* statement, int index) {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, index));
    const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, index));
    return data == nullptr ? std::string() : std::string(data, size);
  }

  Result<void> set_up();
  Result<std::optional<std::string>> get(std::string_view key);
  Result<void> write(const Mutation& mutation);
  Result<void> write_batch(std::span<const Mutation> mutations,
                           std::span<const Condition> conditions);

  const std::string path;
  std::mutex mutex;
  sqlite3* database = nullptr;
  sqlite3_stmt* put = nullptr;
  sqlite3_stmt* remove = nullptr;
  sqlite3_stmt* select = nullptr;
  sqlite3_stmt* range = nullptr;
};

Result<void> SqliteStore::Connection::set_up() {
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  sqlite3_extended_result_codes(database, 1);
  const std::string health = TRY(ask("PRAGMA quick_check(1)"));
  if (health != "ok") {
    return core::fail(ErrorCode::Corruption, "alert store {}: damaged: {}", path, health);
  }
  const std::string version = TRY(ask("PRAGMA user_version"));
  const std::string id = TRY(ask("PRAGMA application_id"));
  const std::string tables = TRY(ask("SELECT count(*) FROM sqlite_master"));
  const bool is_new = tables == "0" && version == "0" && id == "0";
  if (!is_new && id != std::to_string(kApplicationId)) {
    return core::fail(ErrorCode::Corruption, "alert store {}: a database of another program", path);
  }
  if (!is_new && version != std::to_string(kSchemaVersion)) {
    return core::fail(ErrorCode::Unsupported,
                      "alert store {}: format version {}, this Petrel reads version {}", path,
                      version, kSchemaVersion);
  }
  const std::string mode = TRY(ask("PRAGMA journal_mode=WAL"));
  if (mode != "wal") {
    return core::fail(ErrorCode::Io, "alert store {}: cannot use a write-ahead log here ({})", path,
                      mode);
  }
  TRY(execute("PRAGMA synchronous=FULL"));
  if (is_new) {
    const std::string sql = fmt::format(
        "BEGIN IMMEDIATE; CREATE TABLE entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) "
        "WITHOUT ROWID; PRAGMA application_id={}; PRAGMA user_version={}; COMMIT",
        kApplicationId, kSchemaVersion);
    TRY(execute(sql.c_str()));
  }
  TRY(prepare(put,
              "INSERT INTO entries VALUES (?1, ?2) "
              "ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
  TRY(prepare(remove, "DELETE FROM entries WHERE key = ?1"));
  TRY(prepare(select, "SELECT value FROM entries WHERE key = ?1"));
  TRY(prepare(range,
              "SELECT key, value FROM entries WHERE key >= ?1 AND key > ?2 "
              "AND (?3 = x'' OR key < ?3) ORDER BY key LIMIT ?4"));
  return {};
}

Result<std::optional<std::string>> SqliteStore::Connection::get(std::string_view key) {
  bind(select, 1, key);
  const int status = sqlite3_step(select);
  std::optional<std::string> value;
  if (status == SQLITE_ROW) value = column(select, 0);
  sqlite3_reset(select);
  if (status != SQLITE_ROW && status != SQLITE_DONE) return error(status, "read");
  return value;
}

Result<void> SqliteStore::Connection::write(const Mutation& mutation) {
  sqlite3_stmt* statement = mutation.value ? put : remove;
  bind(statement, 1, mutation.key);
  if (mutation.value) bind(statement, 2, *mutation.value);
  const int status = sqlite3_step(statement);
  sqlite3_reset(statement);
  if (status != SQLITE_DONE) return error(status, "write");
  return {};
}

Result<void> SqliteStore::Connection::write_batch(std::span<const Mutation> mutations,
                                                  std::span<const Condition> conditions) {
  for (const Condition& condition : conditions) {
    const std::optional<std::string> value = TRY(get(condition.key));
    if (value != condition.value) {
      return core::fail(ErrorCode::Conflict, "alert store: \"{}\" was changed by another",
                        condition.key);
    }
  }
  for (const Mutation& mutation : mutations) TRY(write(mutation));
  return {};
}

SqliteStore::SqliteStore(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
SqliteStore::~SqliteStore() = default;

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  auto connection = std::make_unique<Connection>(path);
  // Annotations can hold what only operators should read.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int status = sqlite3_open_v2(path.c_str(), &connection->database, flags, nullptr);
  if (status != SQLITE_OK) return connection->error(status, "open");
  TRY(connection->set_up());
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(connection)));
}

Result<void> SqliteStore::apply(std::span<const Mutation> mutations,
                                std::span<const Condition> conditions) {
  const std::lock_guard lock(connection_->mutex);
  TRY(connection_->execute("BEGIN IMMEDIATE"));
  Result<void> written = connection_->write_batch(mutations, conditions);
  if (written) written = connection_->execute("COMMIT");
  // A failed COMMIT leaves the transaction open unless SQLite has rolled it back.
  if (!written && sqlite3_get_autocommit(connection_->database) == 0) {
    sqlite3_exec(connection_->database, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return written;
}

Result<std::optional<std::string>> SqliteStore::get(const std::string& key) const {
  const std::lock_guard lock(connection_->mutex);
  return connection_->get(key);
}

Result<std::vector<Entry>> SqliteStore::scan(const std::string& prefix, size_t limit,
                                             const std::string& after) const {
  const std::string end = prefix_end(prefix);
  const std::lock_guard lock(connection_->mutex);
  sqlite3_stmt* range = connection_->range;
  Connection::bind(range, 1, prefix);
  Connection::bind(range, 2, after);
  Connection::bind(range, 3, end);
  sqlite3_bind_int64(range, 4, limit > INT64_MAX ? INT64_MAX : static_cast<int64_t>(limit));
  std::vector<Entry> found;
  int status = sqlite3_step(range);
  for (; status == SQLITE_ROW; status = sqlite3_step(range)) {
    found.emplace_back(Connection::column(range, 0), Connection::column(range, 1));
  }
  sqlite3_reset(range);
  if (status != SQLITE_DONE) return connection_->error(status, "scan");
  return found;
}

}  // namespace alertstore
