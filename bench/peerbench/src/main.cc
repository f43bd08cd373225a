#include <cstdio>
#include <cstring>

int cmd_gen(int, char**);
int cmd_write(int, char**);
int cmd_query(int, char**);
int cmd_verify(int, char**);
int cmd_ready(int, char**);
int cmd_stat(int, char**);

static const char kHelp[] =
    "peerbench - load and query benchmark for Prometheus-compatible servers\n"
    "\n"
    "  peerbench gen     make a deterministic fleet data set as remote_write requests\n"
    "  peerbench write   replay it, report samples/s and samples per server-CPU-second\n"
    "  peerbench verify  count what the server really stored, metric by metric\n"
    "  peerbench query   time PromQL queries, hash or compare the answers of servers\n"
    "  peerbench ready   poll until a server answers (recovery time)\n"
    "  peerbench stat    CPU, memory and disk counters of a process\n"
    "\n"
    "Each command has --help. Exit status: 0 all good, 1 usage or setup, 2 the server\n"
    "failed in part or in whole, or answers differ.\n";

int main(int argc, char** argv) {
  struct {
    const char* name;
    int (*fn)(int, char**);
  } cmds[] = {{"gen", cmd_gen},     {"write", cmd_write}, {"verify", cmd_verify},
              {"query", cmd_query}, {"ready", cmd_ready}, {"stat", cmd_stat}};
  if (argc >= 2)
    for (auto& c : cmds)
      if (std::strcmp(argv[1], c.name) == 0) return c.fn(argc - 2, argv + 2);
  bool asked =
      argc >= 2 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0);
  std::fputs(kHelp, asked ? stdout : stderr);
  return asked ? 0 : 1;
}
