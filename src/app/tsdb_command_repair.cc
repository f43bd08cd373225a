// petrel tsdb repair: what a server does at its start about a damaged manifest, and what it
// leaves to people: blocks of which nothing can be read are set aside. Nothing is deleted.

#include "app/tsdb_command_impl.h"
#include "app/tsdb_repair.h"

#include <cstdio>

namespace app::tsdb_command {

using core::Result;

int run_repair(const std::vector<std::string>& arguments) {
  CommandLine line(
      "repair",
      "Makes a manifest anew that is damaged or missing, and sets blocks aside of which\n"
      "nothing can be read (NAME.block.damaged). Deletes nothing; queries go on telling\n"
      "which times are incomplete. Blocks with damage in some series stay: the others\n"
      "can be read. Damage of the log is repaired by the server at its start; what the disk\n"
      "refuses to read is given up here: the file is kept as NAME.unreadable, and a copy of\n"
      "what can be read takes its place. Try a start on a mended disk before that.");
  bool is_dry_run = false;
  line.cli.add_flag("--dry-run", is_dry_run, "Only tell what would be done.");
  if (const auto code = line.parse(arguments)) return *code;
  const auto dir = DataDir::open_alone(line.dir);
  if (!dir) return fail_with(line.name, dir.error());

  uint64_t total_bytes = 0;
  if (const auto manifest = tsdb::Manifest::load((*dir)->files, (*dir)->path)) {
    for (const tsdb::BlockMeta& meta : manifest->blocks) total_bytes += meta.size_bytes;
  }
  Progress progress("reading indexes", total_bytes);
  RepairOptions options;
  options.is_dry_run = is_dry_run;
  options.say = [](const std::string& text) { std::printf("%s\n", text.c_str()); };
  options.on_checked = [&progress](uint64_t bytes) { progress.add(bytes); };
  if (const Result<void> done = repair_data_dir((*dir)->files, (*dir)->path, options); !done) {
    return fail_with(line.name, done.error());
  }
  return 0;
}

}  // namespace app::tsdb_command
