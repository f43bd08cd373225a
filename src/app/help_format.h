// How --help shows flags: as Prometheus's does, --name=DEFAULT and --[no-]name.

#pragma once

#include <memory>

namespace CLI {
class FormatterBase;
}

namespace app {

std::shared_ptr<CLI::FormatterBase> help_format();

}  // namespace app
