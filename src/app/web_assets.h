// The web UI as compiled into this program (see cmake/web_assets.cmake).
#pragma once

#include "api/static_assets.h"

namespace app {

// Without web/dist at build time: one page that says so and how to build it.
api::StaticAssets web_assets();

}  // namespace app
